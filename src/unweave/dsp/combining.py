"""Several estimates of one signal as one, by the rules that ensembles in this field have names for.

The names, and what they mean, are those of Ultimate Vocal Remover, audio-separator and ZFTurbo's training code. A rule
looks at every sample, or at every bin of the spectra (frames of 2048 samples, a hop of 1024, a Hann window):

* ``avg_wave``, ``avg_fft``: the weighted mean. The transform is linear, so both are the same.
* ``median_wave``, ``median_fft``: the median; of spectra, real and imaginary parts each have their own.
* ``min_wave``, ``min_fft``, ``max_wave``, ``max_fft``: whichever estimate is closest to zero, or farthest from it. If
  two are as close, the first counts.
* ``uvr_min_spec``, ``uvr_max_spec``: the same as ``min_fft`` and ``max_fft``, but then the last counts.
* ``phase_fix``, of two estimates: the magnitudes of the first, with its phases below 500 Hz, those of the second above
  5 kHz, and a mixture in between. Models of full instrumentals are often rough there, which a cleaner model's phases
  hide. (Scripts of that name mix angles, and others by other amounts; this mixes directions, so that angles of 179°
  and −179° are neighbours.) The hop is 512 here, since such spectra are no transform of any signal.

What differs from those programs: an estimate is followed by silence, so that its last samples lie in two frames like
all others. There they lie in one, at whose end rounding errors are divided by almost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from unweave.dsp.frames import SpectralStream
from unweave.types import Spectrogram, Waveform

HOP_LENGTH, SHORT_HOP = 1024, 512  # samples
PHASE_FIX = "phase_fix"
PHASE_RANGE = (500.0, 5000.0)  # Hz, in which phases go from those of the first estimate to those of the second
SMALLEST = 1e-6  # length of a sum of directions that still has one

Values = npt.NDArray[Any]  # real samples or complex bins, (estimates, …)

MEANS = ("avg_wave", "avg_fft")  # the rules for which weights count


def median(estimates: Values) -> Values:
    """(estimates, …) → (…)."""
    if np.iscomplexobj(estimates):
        combined: Values = np.median(estimates.real, axis=0) + 1j * np.median(estimates.imag, axis=0)
        return combined.astype(np.complex64)
    return np.asarray(np.median(estimates, axis=0))


def closest_to_zero(estimates: Values) -> Values:
    """(estimates, …) → (…): of equals, the first."""
    return _picked(estimates, np.abs(estimates).argmin(axis=0))


def farthest_from_zero(estimates: Values) -> Values:
    """(estimates, …) → (…): of equals, the first."""
    return _picked(estimates, np.abs(estimates).argmax(axis=0))


def _picked(estimates: Values, indices: npt.NDArray[np.intp]) -> Values:
    picked: Values = np.take_along_axis(estimates, indices[None], axis=0)[0]
    return picked


_OF_SAMPLES: dict[str, Callable[[Values], Values]] = {
    "median_wave": median,
    "min_wave": closest_to_zero,
    "max_wave": farthest_from_zero,
}
_OF_SPECTRA: dict[str, Callable[[Values], Values]] = {
    "median_fft": median,
    "min_fft": closest_to_zero,
    "max_fft": farthest_from_zero,
    "uvr_min_spec": lambda estimates: closest_to_zero(estimates[::-1]),
    "uvr_max_spec": lambda estimates: farthest_from_zero(estimates[::-1]),
}
RULES = (*MEANS, *_OF_SAMPLES, *_OF_SPECTRA)


class Combiner(Protocol):
    """Several estimates in, block by block, and one out."""

    def push(self, estimates: Sequence[Waveform]) -> Waveform:
        """The next samples of each estimate, (channels, samples) → those that are ready, which may be none."""
        ...

    def flush(self) -> Waveform:
        """The end: all that is left, so that as much came out as went in."""
        ...


def phase_fixed(estimates: Values, sample_rate: int) -> Values:
    """(2, …, bins) → (…, bins): see ``phase_fix`` above."""
    first, second = estimates
    low, high = PHASE_RANGE
    hz = np.linspace(0, sample_rate / 2, first.shape[-1])
    share = np.clip((hz - low) / (high - low), 0, 1).astype(np.float32)
    magnitude = np.abs(first)
    # What is silent has no direction, and neither have two that cancel: the first keeps its own there.
    mixed = (1 - share) * _direction(first) + share * _direction(second)
    direction = np.where(np.abs(mixed) > SMALLEST, _direction(mixed), _direction(first))
    fixed: Values = (magnitude * direction).astype(np.complex64)
    return fixed


def _direction(spectrum: Values) -> Values:
    magnitude = np.abs(spectrum)
    return np.divide(spectrum, magnitude, out=np.zeros_like(spectrum), where=magnitude > 0)


def combiner(rule: str, weights: Sequence[float], n_channels: int, sample_rate: int = 44100) -> Combiner:
    """What combines one estimate per weight by ``rule``; weights only count for `MEANS`.

    ``rule`` is one of `RULES`, or `PHASE_FIX` for two estimates.
    """
    if len(weights) == 1:
        return _Only(n_channels)
    if rule in MEANS:
        return _Mean(weights, n_channels)
    if rule in _OF_SAMPLES:
        return _OfSamples(_OF_SAMPLES[rule], n_channels)
    if rule == PHASE_FIX:
        return _OfSpectra(lambda estimates: phase_fixed(estimates, sample_rate), len(weights), n_channels, SHORT_HOP)
    return _OfSpectra(_OF_SPECTRA[rule], len(weights), n_channels, HOP_LENGTH)


class _Only:
    """Nothing to combine with."""

    def __init__(self, n_channels: int) -> None:
        self._n_channels = n_channels

    def push(self, estimates: Sequence[Waveform]) -> Waveform:
        """See `Combiner`."""
        return estimates[0]

    def flush(self) -> Waveform:
        """See `Combiner`."""
        return np.zeros((self._n_channels, 0), np.float32)


class _Mean(_Only):
    def __init__(self, weights: Sequence[float], n_channels: int) -> None:
        super().__init__(n_channels)
        self._weights = weights

    def push(self, estimates: Sequence[Waveform]) -> Waveform:
        """See `Combiner`."""
        total = np.zeros_like(estimates[0])
        for estimate, weight in zip(estimates, self._weights, strict=True):
            total += np.float32(weight) * estimate
        mean: Waveform = total / np.float32(sum(self._weights))
        return mean


class _OfSamples(_Only):
    def __init__(self, rule: Callable[[Values], Values], n_channels: int) -> None:
        super().__init__(n_channels)
        self._rule = rule

    def push(self, estimates: Sequence[Waveform]) -> Waveform:
        """See `Combiner`."""
        return self._rule(np.stack(estimates))


class _OfSpectra:
    """Estimates frame by frame: each is transformed, combined, transformed back and added to the next."""

    def __init__(self, rule: Callable[[Values], Values], n_estimates: int, n_channels: int, hop_length: int) -> None:
        def combined(spectra: Spectrogram) -> Spectrogram:
            return rule(spectra.reshape(n_estimates, n_channels, *spectra.shape[1:]))

        self._stream = SpectralStream(combined, n_estimates * n_channels, n_channels, hop_length)

    def push(self, estimates: Sequence[Waveform]) -> Waveform:
        """See `Combiner`."""
        return self._stream.push(np.concatenate(estimates))

    def flush(self) -> Waveform:
        """See `Combiner`."""
        return self._stream.flush()
