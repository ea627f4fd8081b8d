"""What surrounds a RoFormer: spectrum in, masks out, segments that overlap (`unweave.families.overlapping`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.dsp.memory import large_zeros
from unweave.families.overlapping import overlapping
from unweave.families.roformer.spec import N_CHANNELS, NUMBERS_PER_BIN, RoformerSpec
from unweave.families.segment_options import hop_for
from unweave.types import Spectrogram, Waveform


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

    def __init__(self, spec: RoformerSpec, network: MaskNetwork, hop: int | None = None) -> None:
        self.spec = spec
        self._network = network
        self.segmentation, self._weights = overlapping(spec.segment_samples, hop or spec.hop_samples)

    def with_overlap(self, overlap: float) -> RoformerSeparator:
        """The same with another share of a segment that the next one shares."""
        return RoformerSeparator(self.spec, self._network, hop_for(overlap, self.spec.segment_samples))

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


def as_numbers(spectrum: Spectrogram) -> npt.NDArray[np.float32]:
    """(channels, frames, bins) complex → (frames, 4 · bins): for each bin, channel by channel, both parts."""
    together = np.ascontiguousarray(spectrum.transpose(1, 2, 0), np.complex64)
    return together.view(np.float32).reshape(spectrum.shape[1], NUMBERS_PER_BIN * spectrum.shape[2])


def from_numbers(numbers: npt.NDArray[np.float32]) -> Spectrogram:
    """The inverse of `as_numbers`."""
    together = np.ascontiguousarray(numbers, np.float32).view(np.complex64)
    return together.reshape(len(numbers), -1, N_CHANNELS).transpose(2, 0, 1)
