"""What surrounds an MDX-Net: the spectrum of a segment in, that of a stem out, segments that overlap by a quarter.

The recipe is that of audio-separator 0.47.1 (``MDXSeparator.demix``), which follows UVR: three bins at the bottom are
silenced, bins above the network's stay silent, segments are weighted by a Hann window and the mean taken where they
overlap. Its scaling of the whole track, which brings loud mixtures to a peak of 0.9 and multiplies the stem by the
peak of the mixture whatever that was, is left out: stems keep the level of the mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.dsp.fades import shares
from unweave.dsp.memory import large_zeros
from unweave.dsp.segments import Segmentation
from unweave.families.mdx.spec import N_CHANNELS, N_PARTS, MdxSpec
from unweave.families.segment_options import LARGEST_CROSSFADE, hop_for
from unweave.types import Spectrogram, Waveform

N_SILENCED_BINS = 3
STEM = 0  # the other one is the complement


class SpectrumNetwork(Protocol):
    """The network, loaded and ready; may be called from several threads at once."""

    def run(self, *arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """(1, 4, bins, frames) → [(1, 4, bins, frames)]: parts of the mixture's spectrum → those of the stem's."""
        ...


class MdxSeparator:
    """Separates one segment at a time, as `unweave.engines.base.SegmentSeparator`: the stem, then the complement."""

    def __init__(self, spec: MdxSpec, network: SpectrumNetwork, hop: int | None = None) -> None:
        self.spec = spec
        self._network = network
        hop = hop or spec.hop_samples
        self.segmentation = Segmentation(length=spec.segment_samples, hop=hop, lead=spec.edge_samples)
        window = np.hanning(spec.segment_samples)
        self._weights = [shares(window, hop, is_first=first) for first in (False, True)]

    def with_overlap(self, overlap: float) -> MdxSeparator:
        """The same with another share of a segment that the next one shares: at most a half."""
        hop = hop_for(overlap, self.spec.segment_samples, LARGEST_CROSSFADE)
        return MdxSeparator(self.spec, self._network, hop)

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of what `separate` gives."""
        return self.spec.all_stems

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be added up."""
        separated = large_zeros((len(stems), *segment.shape))
        if not segment.any():  # silence in, silence out: the network's biases would make a sound of it
            return separated
        stem = self.estimate(segment)
        for row, wanted in enumerate(stems):
            separated[row] = stem if wanted == STEM else _complement(segment, stem, self.spec)
        separated *= self._weights[is_first]
        return separated

    def estimate(self, segment: Waveform) -> Waveform:
        """The stem in one segment of full length, without the weights of the overlap."""
        spec = self.spec
        parts = as_parts(centred_stft(segment, spec.n_fft, spec.hop_length), spec.n_bins)
        parts[:, :N_SILENCED_BINS] = 0
        (found,) = self._network.run(parts[None])
        if spec.denoise:
            (inverted,) = self._network.run(-parts[None])
            found = (found - inverted) * np.float32(0.5)
        spectrum = from_parts(found[0], spec.n_fft // 2 + 1)
        return centred_istft(spectrum, segment.shape[1], spec.n_fft, spec.hop_length)


def separate_track(separator: MdxSeparator, mixture: Waveform) -> npt.NDArray[np.float32]:
    """A whole track as the reference does it: (channels, samples) → (stem and complement, channels, samples).

    It differs from a stream of segments at the end of the track alone, where the windows of segments that reach beyond
    it end with it, and in segments that are silent.
    """
    spec = separator.spec
    n_samples, edge, length = mixture.shape[1], spec.edge_samples, spec.segment_samples
    n_kept = length - 2 * edge  # of a segment, without its edges
    padded = np.pad(mixture, [(0, 0), (edge, n_kept + edge - n_samples % n_kept)])
    n_padded = padded.shape[1]
    summed, weights = np.zeros((N_CHANNELS, n_padded), np.float32), np.zeros(n_padded, np.float32)
    for start in range(0, n_padded, spec.hop_samples):
        part = padded[:, start : start + length]
        n_part = part.shape[1]
        window = np.hanning(n_part) if spec.overlap else np.ones(n_part)
        filled = np.pad(part, [(0, 0), (0, length - n_part)])
        summed[:, start : start + n_part] += (separator.estimate(filled)[:, :n_part] * window).astype(np.float32)
        weights[start : start + n_part] += window.astype(np.float32)
    inside = slice(edge, edge + n_samples)  # the very ends of the padding have no weight
    stem = summed[:, inside] / weights[inside]
    return np.stack([stem, _complement(mixture, stem, spec)])


def as_parts(spectrum: Spectrogram, n_bins: int) -> npt.NDArray[np.float32]:
    """(channels, frames, bins) complex → (4, n_bins, frames): left real and imaginary, right real and imaginary."""
    lowest = spectrum[..., :n_bins].transpose(0, 2, 1)
    return np.stack([lowest.real, lowest.imag], axis=1).reshape(N_PARTS, n_bins, -1)


def from_parts(parts: npt.NDArray[np.float32], n_bins: int) -> Spectrogram:
    """The inverse of `as_parts`, filled up with silent bins to ``n_bins``."""
    n_found, n_frames = parts.shape[1:]
    spectrum = np.zeros((N_CHANNELS, n_frames, n_bins), np.complex64)
    spectrum[..., :n_found].real = parts[::2].transpose(0, 2, 1)
    spectrum[..., :n_found].imag = parts[1::2].transpose(0, 2, 1)
    return spectrum


def _complement(mixture: Waveform, stem: Waveform, spec: MdxSpec) -> Waveform:
    return mixture - np.float32(spec.compensation) * stem
