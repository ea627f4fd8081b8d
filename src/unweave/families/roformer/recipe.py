"""What surrounds a RoFormer: spectrum in, masks out, segments that overlap.

The recipe is that of the code the checkpoints were trained with, ``demix`` in ZFTurbo's
Music-Source-Separation-Training: segments of the configuration's length, a window that is one with linear fades of a
tenth of it at either end, and the weighted mean where segments overlap.

Each band is normalised before anything is made of it, so neither the level of the track nor that of the transform
(``stft_normalized``) makes a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.dsp.memory import large_zeros
from unweave.dsp.segments import Segmentation
from unweave.families.roformer.spec import N_CHANNELS, NUMBERS_PER_BIN, RoformerSpec
from unweave.types import Spectrogram, Waveform

FADES_PER_SEGMENT = 10  # a fade is so many times shorter than a segment
SMALLEST_WEIGHT = np.float32(1e-6)  # of a sample in a segment
SMALLEST_DEVIATION = 1e-8  # of a track; softer ones are silent, and not brought to one level


class MaskNetwork(Protocol):
    """The network, loaded and ready; may be called from several threads at once."""

    def masks(self, spectrum: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(frames, 4 · bins) → (stems, frames, 4 · bins), see `unweave.families.roformer.graph`."""
        ...


class RoformerSeparator:
    """Separates one segment at a time, as `unweave.engines.base.SegmentSeparator`.

    Stems are those of the spec, then the complement if it has one. The signal begins behind as much silence as the
    segments overlap, so that every sample lies in equally many segments.
    """

    def __init__(self, spec: RoformerSpec, network: MaskNetwork) -> None:
        self.spec = spec
        self._network = network
        lead = spec.segment_samples - spec.hop_samples
        self.segmentation = Segmentation(length=spec.segment_samples, hop=spec.hop_samples, lead=lead)
        self._weights = _shares(fading_window(spec.segment_samples), spec.hop_samples)

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of what `separate` gives."""
        return self.spec.all_stems

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be added up."""
        separated = self.estimate(segment, stems)
        separated *= self._weights
        return separated

    def estimate(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """As `separate`, without the weights of the overlap."""
        spec = self.spec
        separated = large_zeros((len(stems), *segment.shape))
        if not segment.any():  # silence in, silence out
            return separated
        spectrum = centred_stft(segment, spec.n_fft, spec.hop_length)
        masks = self._network.masks(as_numbers(spectrum))
        for row, stem in enumerate(stems):
            is_complement = stem == len(spec.stems)
            masked = spectrum * from_numbers(masks[0 if is_complement else stem])
            if spec.zero_dc:
                masked[..., 0] = 0
            waveform = centred_istft(masked, segment.shape[1], spec.n_fft, spec.hop_length)
            separated[row] = segment - waveform if is_complement else waveform
        return separated


def separate_track(separator: RoformerSeparator, mixture: Waveform) -> npt.NDArray[np.float32]:
    """A whole track exactly as the training code does, one segment at a time: (channels, samples) → (stems, …).

    It differs from a stream of segments at the ends of the track alone: they are reflected, and the last segment is
    filled up with its own reflection where it is longer than a half. The reference computes some segments at once and
    takes the fade-out off all those it computes last; here, as there with one at a time, only the last one has none.
    """
    spec = separator.spec
    length, hop = spec.segment_samples, spec.hop_samples
    mean, deviation = _level(mixture) if spec.normalised else (0.0, 1.0)
    padded = (mixture - np.float32(mean)) / np.float32(deviation)
    border = length - hop
    n_border = border if border and mixture.shape[1] > 2 * border else 0
    padded = np.pad(padded, [(0, 0), (n_border, n_border)], mode="reflect") if n_border else padded
    n_samples = padded.shape[1]
    network_stems = range(len(spec.stems))
    summed = np.zeros((len(spec.stems), N_CHANNELS, n_samples), np.float32)
    weights = np.zeros(n_samples, np.float32)
    for start in range(0, n_samples, hop):
        part = padded[:, start : start + length]
        n_part = part.shape[1]
        mode = "reflect" if n_part > length // 2 else "constant"
        filled = np.pad(part, [(0, 0), (0, length - n_part)], mode=mode)  # type: ignore[call-overload]
        window = fading_window(length, is_first=start == 0, is_last=start + hop >= n_samples)[:n_part]
        summed[..., start : start + n_part] += separator.estimate(filled, network_stems)[..., :n_part] * window
        weights[start : start + n_part] += window
    summed /= weights
    stems = summed[..., n_border : n_samples - n_border] * np.float32(deviation) + np.float32(mean)
    if not spec.complement:
        return stems
    return np.concatenate([stems, mixture[None] - stems])


def fading_window(length: int, *, is_first: bool = False, is_last: bool = False) -> Waveform:
    """One, with a linear fade at either end that takes a tenth of ``length`` samples and almost reaches zero.

    In the training code it reaches zero: without an overlap, the first and last sample of each segment are lost there.
    """
    n_fade = length // FADES_PER_SEGMENT
    window = np.ones(length, np.float32)
    if n_fade and not is_first:
        window[:n_fade] = np.linspace(0, 1, n_fade, dtype=np.float32)
    if n_fade and not is_last:
        window[-n_fade:] = np.linspace(1, 0, n_fade, dtype=np.float32)
    return np.maximum(window, SMALLEST_WEIGHT)


def as_numbers(spectrum: Spectrogram) -> npt.NDArray[np.float32]:
    """(channels, frames, bins) complex → (frames, 4 · bins): for each bin, channel by channel, both parts."""
    together = np.ascontiguousarray(spectrum.transpose(1, 2, 0), np.complex64)
    return together.view(np.float32).reshape(spectrum.shape[1], NUMBERS_PER_BIN * spectrum.shape[2])


def from_numbers(numbers: npt.NDArray[np.float32]) -> Spectrogram:
    """The inverse of `as_numbers`."""
    together = np.ascontiguousarray(numbers, np.float32).view(np.complex64)
    return together.reshape(len(numbers), -1, N_CHANNELS).transpose(2, 0, 1)


def _shares(window: Waveform, hop: int) -> Waveform:
    """``window`` divided by the sum of all windows at each sample, so that overlapping segments add up to one."""
    wide = window.astype(np.float64)
    total = wide.copy()
    for shift in range(hop, len(window), hop):
        total[shift:] += wide[:-shift]
        total[:-shift] += wide[shift:]
    return (wide / total).astype(np.float32)


def _level(mixture: Waveform) -> tuple[float, float]:
    """Mean and standard deviation of the track as mono, in double precision."""
    mono = mixture.mean(axis=0, dtype=np.float64)
    deviation = float(mono.std())
    return (float(mono.mean()), deviation) if deviation > SMALLEST_DEVIATION else (0.0, 1.0)
