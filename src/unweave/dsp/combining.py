"""Several estimates of one signal as one, by the rules that ensembles in this field have names for.

The names, and what they mean, are those of Ultimate Vocal Remover, audio-separator and ZFTurbo's training code. A rule
looks at every sample, or at every bin of the spectra (frames of 2048 samples, a hop of 1024, a Hann window):

* ``avg_wave``, ``avg_fft``: the weighted mean. The transform is linear, so both are the same.
* ``median_wave``, ``median_fft``: the median; of spectra, real and imaginary parts each have their own.
* ``min_wave``, ``min_fft``, ``max_wave``, ``max_fft``: whichever estimate is closest to zero, or farthest from it. If
  two are as close, the first counts.
* ``uvr_min_spec``, ``uvr_max_spec``: the same as ``min_fft`` and ``max_fft``, but then the last counts.

What differs from those programs: an estimate is followed by silence, so that its last samples lie in two frames like
all others. There they lie in one, at whose end rounding errors are divided by almost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.fft

from unweave.dsp.segments import Segmentation, SegmentCutter, SegmentJoiner
from unweave.dsp.stft import analyse, hann
from unweave.types import Spectrogram, Waveform

N_FFT, HOP_LENGTH = 2048, 1024  # samples
N_FRAMES = 64  # that are worked on at once

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


def combiner(rule: str, weights: Sequence[float], n_channels: int) -> Combiner:
    """What combines one estimate per weight by ``rule``, one of `RULES`; weights only count for `MEANS`."""
    if len(weights) == 1:
        return _Only(n_channels)
    if rule in MEANS:
        return _Mean(weights, n_channels)
    if rule in _OF_SAMPLES:
        return _OfSamples(_OF_SAMPLES[rule], n_channels)
    return _OfSpectra(_OF_SPECTRA[rule], len(weights), n_channels)


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
    """Runs of frames, cut like segments: each is transformed, combined, transformed back and added to the next."""

    def __init__(self, rule: Callable[[Values], Values], n_estimates: int, n_channels: int) -> None:
        self._rule = rule
        self._shape = (n_estimates, n_channels)
        # Frames are centred on multiples of the hop: the first begins half a frame before the signal.
        hop = N_FRAMES * HOP_LENGTH
        segmentation = Segmentation(length=hop + N_FFT - HOP_LENGTH, hop=hop, lead=N_FFT // 2)
        self._cutter = SegmentCutter(segmentation, n_estimates * n_channels)
        self._joiner = SegmentJoiner(segmentation)
        self._n_given = 0

    def push(self, estimates: Sequence[Waveform]) -> Waveform:
        """See `Combiner`."""
        return self._joined(self._cutter.push(np.concatenate(estimates)))

    def flush(self) -> Waveform:
        """See `Combiner`."""
        n_left = self._cutter.n_samples - self._n_given
        return self._joined(self._cutter.flush())[:, :n_left]

    def _joined(self, segments: Any) -> Waveform:
        parts = [np.zeros((self._shape[1], 0), np.float32)]
        for segment in segments:
            spectra = analyse(segment.reshape(*self._shape, -1), N_FFT, HOP_LENGTH)
            parts.append(self._joiner.push(_synthesised(self._rule(spectra)))[0])
        joined = np.concatenate(parts, axis=1)
        self._n_given += joined.shape[1]
        return joined


def _synthesised(spectrum: Spectrogram) -> npt.NDArray[np.float32]:
    """(channels, frames, bins) → (1, channels, samples), to be added up with what comes before and after."""
    halves = (scipy.fft.irfft(spectrum, n=N_FFT) * _synthesis_window()).reshape(*spectrum.shape[:2], 2, HOP_LENGTH)
    n_channels, n_frames = spectrum.shape[:2]
    hops = np.zeros((n_channels, n_frames + 1, HOP_LENGTH), np.float32)
    hops[:, :-1] += halves[:, :, 0]
    hops[:, 1:] += halves[:, :, 1]
    return hops.reshape(1, n_channels, -1)


@lru_cache(maxsize=1)
def _synthesis_window() -> Waveform:
    """Hann divided by the sum of the squares of the two windows over each sample, which is never below a half."""
    squared = hann(N_FFT).astype(np.float64) ** 2
    sums = np.tile(squared[:HOP_LENGTH] + squared[HOP_LENGTH:], 2)
    window: Waveform = (hann(N_FFT) / sums).astype(np.float32)
    window.setflags(write=False)
    return window
