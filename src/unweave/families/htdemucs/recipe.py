"""What surrounds the network: its spectrum, the level of its input, and how segments of a track become stems.

The transforms are ``_spec`` and ``_ispec`` of the original: reflected borders, frames centred, divided by √n_fft, the
highest bin and two frames at either end left out.

Two recipes for a whole track:

* `HTDemucsSeparator` takes one segment after the other, as they come from a stream. Each is brought to the same level,
  so that quiet passages are separated like loud ones, and the end of a track is filled up with silence.
* `separate_track` is the original's ``apply_model`` (demucs 4.1.0, without random shifts): the track as a whole is
  brought to a mean of zero and a level of one, segments are weighted by triangles, and whatever is shorter than a
  segment lies in the middle of one, between the samples around it in the track.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unweave.dsp.memory import large_zeros
from unweave.dsp.real_parts import as_channels, from_channels
from unweave.dsp.segments import Segmentation
from unweave.dsp.stft import add_frames, analyse
from unweave.engines.base import HybridNetwork
from unweave.errors import OptionError
from unweave.families.htdemucs.spec import HTDemucsSpec
from unweave.types import Spectrogram, Waveform

N_DROPPED_FRAMES = 2  # at either end
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


class HTDemucsSeparator:
    """Separates segments of a mixture (`unweave.engines.base.SegmentSeparator`), which triangles cross-fade.

    ``level`` is that of the whole track, where it is known and the original's result is wanted; without it each segment
    is brought to its own. ``overlap`` is the share of a segment that the next one shares.
    """

    def __init__(
        self,
        spec: HTDemucsSpec,
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
            separated[row] = waveform_of(from_channels(spectra[stem]), self._spec)
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
    offset: int  # the first sample that it gives
    n_samples: int  # how many it gives


def windows(n_samples: int, length: int, overlap: float = DEFAULT_OVERLAP) -> Iterator[Window]:
    """The windows of a track of ``n_samples``, for segments of ``length``: what is shorter lies in the middle."""
    for offset in range(0, n_samples, int((1 - overlap) * length)):
        n_given = min(length, n_samples - offset)
        yield Window(offset - (length - n_given) // 2, offset, n_given)


def separate_track(
    mixture: Waveform,
    spec: HTDemucsSpec,
    network: HybridNetwork,
    stems: Sequence[int] | None = None,
    overlap: float = DEFAULT_OVERLAP,
) -> npt.NDArray[np.float32]:
    """A whole track by the original's recipe: (channels, samples) → (stems, channels, samples)."""
    chosen = list(range(len(spec.stems))) if stems is None else list(stems)
    meter = TrackMeter()
    meter.push(mixture)
    n_samples, length = mixture.shape[1], spec.segment_samples
    separator = HTDemucsSeparator(spec, network, level=meter.level)
    ramp = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float32)
    ramp /= ramp.max()
    separated = large_zeros((len(chosen), *mixture.shape))
    total = np.zeros(n_samples, np.float32)
    for window in windows(n_samples, length, overlap):
        # Zeros outside the track are those of the track at its level, so they are its mean here.
        segment = np.full((len(mixture), length), np.float32(meter.level.mean))
        first, last = max(window.start, 0), min(window.start + length, n_samples)
        segment[:, first - window.start : last - window.start] = mixture[:, first:last]
        inside = slice(window.offset - window.start, window.offset - window.start + window.n_samples)
        part = slice(window.offset, window.offset + window.n_samples)
        weights = ramp[: window.n_samples]
        separated[..., part] += separator.separate_alone(segment, chosen)[..., inside] * weights
        total[part] += weights
    if n_samples:
        separated /= total
    return separated


def spectrum_of(segment: Waveform, spec: HTDemucsSpec) -> Spectrogram:
    """(channels, samples) → (channels, frames, bins): one frame per hop, ⌈samples / hop⌉ in all."""
    hop, n_fft = spec.hop_length, spec.n_fft
    n_frames = -(-segment.shape[1] // hop)
    pad = hop // 2 * 3
    padded = np.pad(segment, [(0, 0), (pad, pad + n_frames * hop - segment.shape[1])], mode="reflect")
    # The frames that are centred on the reflection of this reflection are among those left out.
    centred = np.pad(padded, [(0, 0), (n_fft // 2, n_fft // 2)], mode="reflect")
    spectrum = analyse(centred, n_fft, hop, spec.n_bins)
    spectrum *= np.float32(1 / np.sqrt(n_fft))
    return spectrum[:, N_DROPPED_FRAMES : N_DROPPED_FRAMES + n_frames]


def waveform_of(spectrum: Spectrogram, spec: HTDemucsSpec) -> Waveform:
    """The inverse of `spectrum_of`, of a segment's length."""
    hop, n_fft = spec.hop_length, spec.n_fft
    n_channels, n_frames, n_bins = spectrum.shape
    framed = np.zeros((n_channels, n_frames + 2 * N_DROPPED_FRAMES, n_bins), np.complex64)
    framed[:, N_DROPPED_FRAMES:-N_DROPPED_FRAMES] = spectrum
    framed *= np.float32(np.sqrt(n_fft))
    samples = np.zeros((n_channels, (framed.shape[1] - 1) * hop + n_fft), np.float32)
    add_frames(samples, 0, framed, n_fft, hop)
    start = n_fft // 2 + hop // 2 * 3
    return samples[:, start : start + spec.segment_samples]


def triangle_weights(length: int, hop: int) -> npt.NDArray[np.float32]:
    """Weights that rise and fall along a segment, divided so that those of overlapping segments sum to one."""
    rise = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float64)
    total = rise.copy()
    for shift in range(hop, length, hop):
        total[shift:] += rise[:-shift]
        total[:-shift] += rise[shift:]
    return (rise / total).astype(np.float32)
