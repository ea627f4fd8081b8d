"""What surrounds a hybrid network: the level of its input, and how segments of a track become stems.

Two recipes for a whole track:

* `HybridSeparator` takes one segment after the other, as they come from a stream. Each is brought to the same level,
  so that quiet passages are separated like loud ones, and the end of a track is filled up with silence.
* `separate_windows` is the original's ``apply_model`` (demucs 4.1.0, without random shifts): the track as a whole is
  brought to a mean of zero and a level of one, and segments are weighted by triangles. What is shorter than a segment
  lies in the middle of one, between the samples around it in the track, or is separated at its own length, as the
  network wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unweave.dsp.memory import large_zeros
from unweave.dsp.real_parts import as_channels, from_channels
from unweave.dsp.segments import Segmentation
from unweave.engines.base import HybridNetwork, Session
from unweave.errors import OptionError
from unweave.families.demucs.spec import HybridSpec
from unweave.families.demucs.spectrum import spectrum_of, waveform_of
from unweave.types import Waveform

SILENT_LEVEL = 1e-5  # a standard deviation below this is silence: −100 dB
LEVEL_FLOOR = 1e-8  # added to a track's level by the original
DEFAULT_OVERLAP = 0.25  # share of a segment that is cross-faded with the next


@dataclass(frozen=True)
class TrackLevel:
    """Mean and standard deviation of a whole track's mono mixture, which the original brings to 0 and 1."""

    mean: float
    deviation: float


class TrackMeter:
    """Finds the `TrackLevel` of a track from its blocks, in double precision."""

    def __init__(self) -> None:
        self._n_samples = 0
        self._mean = 0.0
        self._squares = 0.0  # sum of squared differences from the mean

    def push(self, block: Waveform) -> None:
        """Take samples (channels, samples)."""
        n_samples = block.shape[1]
        if not n_samples:
            return
        mono = block.mean(axis=0, dtype=np.float64)
        mean, total = float(mono.mean()), self._n_samples + n_samples
        # Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
        difference = mean - self._mean
        self._squares += float(((mono - mean) ** 2).sum()) + difference**2 * self._n_samples * n_samples / total
        self._mean += difference * n_samples / total
        self._n_samples = total

    @property
    def level(self) -> TrackLevel:
        """The level of what was pushed so far; the deviation is the unbiased one."""
        return TrackLevel(self._mean, float(np.sqrt(self._squares / max(self._n_samples - 1, 1))))


class SessionNetwork:
    """A loaded network as `unweave.engines.base.HybridNetwork`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(
        self, mixture: npt.NDArray[np.float32], spectrum: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """See `unweave.engines.base.HybridNetwork`."""
        spectra, waveforms = self._session.run(mixture[None], spectrum[None])
        return spectra[0], waveforms[0]


class HybridSeparator:
    """Separates segments of a mixture (`unweave.engines.base.SegmentSeparator`), which triangles cross-fade.

    ``level`` is that of the whole track, where it is known and the original's result is wanted; without it each segment
    is brought to its own. ``overlap`` is the share of a segment that the next one shares.
    """

    def __init__(
        self,
        spec: HybridSpec,
        network: HybridNetwork,
        *,
        overlap: float = DEFAULT_OVERLAP,
        level: TrackLevel | None = None,
    ) -> None:
        if not 0 < overlap <= 0.5:
            raise OptionError(f"overlap must be above 0 and at most 0.5, got {overlap}")
        self._spec = spec
        self._network = network
        self._level = level
        length = spec.segment_samples
        self.segmentation = Segmentation(length=length, hop=length - round(length * overlap), lead=0)
        weights = triangle_weights(length, self.segmentation.hop)
        first = weights.copy()
        first[: length - self.segmentation.hop] = 1  # nothing to fade in from
        self._weights = (weights, first)

    def with_overlap(self, overlap: float) -> HybridSeparator:
        """The same with another share of a segment that the next one shares: above 0 and at most a half."""
        return HybridSeparator(self._spec, self._network, overlap=overlap, level=self._level)

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be added up."""
        separated = self.separate_alone(segment, stems)
        separated *= self._weights[is_first]
        return separated

    def separate_alone(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """The same without the weights of a cross-fade."""
        level = self._level or segment_level(segment)
        if level.deviation < SILENT_LEVEL and self._level is None:  # silence in, silence out
            return large_zeros((len(stems), *segment.shape))
        scale = np.float32(level.deviation + (LEVEL_FLOOR if self._level else 0))
        normalised = (segment - np.float32(level.mean)) / scale
        spectra, waveforms = self._network.run(normalised, as_channels(spectrum_of(normalised, self._spec)))
        separated = large_zeros((len(stems), *segment.shape))
        for row, stem in enumerate(stems):
            separated[row] = waveform_of(from_channels(spectra[stem]), self._spec, segment.shape[1])
            separated[row] += waveforms[stem]
        separated *= scale
        if self._level:  # the original gives a track's offset back to every stem; a segment's own is no stem's
            separated += np.float32(level.mean)
        return separated


def segment_level(segment: Waveform) -> TrackLevel:
    """Mean and standard deviation of one segment's mono mixture."""
    mono = segment.mean(axis=0)
    return TrackLevel(float(mono.mean()), float(mono.std()))


@dataclass(frozen=True)
class Window:
    """Where a segment of the original's recipe lies; it may begin before the track and end after it."""

    start: int  # the first sample that the network sees; may be negative
    length: int  # how many it sees
    offset: int  # the first sample that it gives
    n_samples: int  # how many it gives


def windows(n_samples: int, length: int, overlap: float = DEFAULT_OVERLAP, *, filled: bool = True) -> Iterator[Window]:
    """The windows of a track of ``n_samples``, for segments of ``length``.

    What is shorter than a segment lies in the middle of one, or is all there is where segments are not ``filled``.
    """
    for offset in range(0, n_samples, int((1 - overlap) * length)):
        n_given = min(length, n_samples - offset)
        n_seen = length if filled else n_given
        yield Window(offset - (n_seen - n_given) // 2, n_seen, offset, n_given)


def separate_windows(
    mixture: Waveform,
    spec: HybridSpec,
    network_of: Callable[[int], HybridNetwork],
    stems: Sequence[int] | None,
    overlap: float,
    *,
    filled: bool,
) -> npt.NDArray[np.float32]:
    """A whole track by the original's recipe: (channels, samples) → (stems, channels, samples).

    ``network_of`` gives the network for a number of samples: that of a segment, and others where they are not
    ``filled``.
    """
    chosen = list(range(len(spec.stems))) if stems is None else list(stems)
    meter = TrackMeter()
    meter.push(mixture)
    n_samples, length = mixture.shape[1], spec.segment_samples
    ramp = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float32)
    ramp /= ramp.max()
    separated = large_zeros((len(chosen), *mixture.shape))
    total = np.zeros(n_samples, np.float32)
    separators: dict[int, HybridSeparator] = {}
    for window in windows(n_samples, length, overlap, filled=filled):
        if window.length not in separators:
            separators[window.length] = HybridSeparator(spec, network_of(window.length), level=meter.level)
        # Zeros outside the track are those of the track at its level, so they are its mean here.
        segment = np.full((len(mixture), window.length), np.float32(meter.level.mean))
        first, last = max(window.start, 0), min(window.start + window.length, n_samples)
        segment[:, first - window.start : last - window.start] = mixture[:, first:last]
        inside = slice(window.offset - window.start, window.offset - window.start + window.n_samples)
        part = slice(window.offset, window.offset + window.n_samples)
        weights = ramp[: window.n_samples]
        separated[..., part] += separators[window.length].separate_alone(segment, chosen)[..., inside] * weights
        total[part] += weights
    if n_samples:
        separated /= total
    return separated


def triangle_weights(length: int, hop: int) -> npt.NDArray[np.float32]:
    """Weights that rise and fall along a segment, divided so that those of overlapping segments sum to one."""
    rise = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float64)
    total = rise.copy()
    for shift in range(hop, length, hop):
        total[shift:] += rise[:-shift]
        total[:-shift] += rise[shift:]
    return (rise / total).astype(np.float32)
