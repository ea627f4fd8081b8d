"""Networks that separate one segment of samples at a time, and tracks of any length made of their segments.

The recipe is that of the code which most published checkpoints were trained with, ``demix`` in ZFTurbo's
Music-Source-Separation-Training: segments of the configuration's length, a window that is one with linear fades of a
tenth of it at either end, and the weighted mean where segments overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.dsp.fades import shares
from unweave.dsp.memory import large_zeros
from unweave.dsp.segments import Segmentation
from unweave.families.segment_options import hop_for
from unweave.types import Waveform

FADES_PER_SEGMENT = 10  # a fade is so many times shorter than a segment
SMALLEST_WEIGHT = np.float32(1e-6)  # of a sample in a segment
SMALLEST_DEVIATION = 1e-8  # of a track; softer ones are silent, and not brought to one level


class OverlapSpec(Protocol):
    """What a family's description says about segments and stems."""

    @property
    def stems(self) -> tuple[str, ...]:
        """What the network gives."""
        ...

    @property
    def complement(self) -> str:
        """The name of mixture minus the one stem; "" where the stems are all there is."""
        ...

    @property
    def segment_samples(self) -> int:
        """Samples per segment."""
        ...

    @property
    def hop_samples(self) -> int:
        """Samples from one segment to the next."""
        ...

    @property
    def normalised(self) -> bool:
        """Whether the network was trained on signals of mean 0 and deviation 1."""
        ...


class SegmentNetwork(Protocol):
    """A network with its transforms around it; may be called from several threads at once."""

    def waveforms(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """The network's stems with the given indices: (channels, length) → (stems, channels, length)."""
        ...


def overlapping(length: int, hop: int) -> tuple[Segmentation, Waveform]:
    """Where segments lie that begin every ``hop`` samples, and how much each of their samples counts."""
    return Segmentation(length=length, hop=hop, lead=length - hop), shares(fading_window(length), hop)


class TrackSeparator(Protocol):
    """What `separate_track` needs of a separator."""

    @property
    def spec(self) -> OverlapSpec:
        """The description of the network."""
        ...

    def estimate(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """The stems of one segment, not faded."""
        ...


class OverlappingSeparator:
    """Separates one segment at a time, as `unweave.engines.base.SegmentSeparator`.

    Stems are those of the spec, then the complement if it has one. The signal begins behind as much silence as the
    segments overlap, so that every sample lies in equally many segments. Where the network wants signals of one level,
    each segment is brought to it by itself, since a stream does not know the level of the track.
    """

    brings_to_level = True  # where the description asks for it

    def __init__(self, spec: OverlapSpec, network: SegmentNetwork, hop: int | None = None) -> None:
        self.spec = spec
        self._network = network
        self.segmentation, self._weights = overlapping(spec.segment_samples, hop or spec.hop_samples)

    def with_overlap(self, overlap: float) -> OverlappingSeparator:
        """The same with another share of a segment that the next one shares."""
        changed = copy(self)
        length = self.spec.segment_samples
        changed.segmentation, changed._weights = overlapping(length, hop_for(overlap, length))
        return changed

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of what `separate` gives."""
        return (*self.spec.stems, self.spec.complement) if self.spec.complement else self.spec.stems

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be added up.

        Silence stays silent, whatever the biases of the network would make of it.
        """
        if not segment.any():
            return large_zeros((len(stems), *segment.shape))
        is_levelled = self.spec.normalised and self.brings_to_level
        mean, deviation = level(segment) if is_levelled else (0.0, 1.0)
        separated = self.estimate((segment - np.float32(mean)) / np.float32(deviation), stems)
        separated *= np.float32(deviation)
        # The mean is nobody's: the complement has it, or what is left of the mixture, but not each stem once more.
        separated[[row for row, stem in enumerate(stems) if stem == len(self.spec.stems)]] += np.float32(mean)
        separated *= self._weights
        return separated

    def estimate(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """What the network makes of a segment, at the level that it was trained with: the stems, not faded."""
        n_stems = len(self.spec.stems)
        wanted = sorted({0 if stem == n_stems else stem for stem in stems})
        waveforms = dict(zip(wanted, self._network.waveforms(segment, wanted), strict=True))
        separated = large_zeros((len(stems), *segment.shape))
        for row, stem in enumerate(stems):
            separated[row] = segment - waveforms[0] if stem == n_stems else waveforms[stem]
        return separated


def separate_track(separator: TrackSeparator, mixture: Waveform) -> npt.NDArray[np.float32]:
    """A whole track exactly as the training code does, one segment at a time: (channels, samples) → (stems, …).

    It differs from a stream of segments at the ends of the track: they are reflected, and the last segment is filled up
    with its own reflection where it is longer than a half. The level, where it is brought to one, is that of the track.
    The reference computes some segments at once and takes the fade-out off all those it computes last; here, as there
    with one at a time, only the last one has none.
    """
    spec = separator.spec
    length, hop = spec.segment_samples, spec.hop_samples
    mean, deviation = level(mixture) if spec.normalised else (0.0, 1.0)
    padded = (mixture - np.float32(mean)) / np.float32(deviation)
    border = length - hop
    n_border = border if border and mixture.shape[1] > 2 * border else 0
    padded = np.pad(padded, [(0, 0), (n_border, n_border)], mode="reflect") if n_border else padded
    n_samples = padded.shape[1]
    network_stems = range(len(spec.stems))
    summed = np.zeros((len(spec.stems), *padded.shape), np.float32)
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


def level(samples: Waveform) -> tuple[float, float]:
    """Mean and standard deviation of the signal as mono, in double precision; 0 and 1 for silence."""
    mono = samples.mean(axis=0, dtype=np.float64)
    deviation = float(mono.std())
    return (float(mono.mean()), deviation) if deviation > SMALLEST_DEVIATION else (0.0, 1.0)
