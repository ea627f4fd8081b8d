"""What surrounds a RoFormer: spectrum in, masks out, segments that overlap (`unweave.families.overlapping`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.families.overlapping import OverlappingSeparator
from unweave.families.roformer.spec import N_CHANNELS, NUMBERS_PER_BIN, RoformerSpec
from unweave.types import Spectrogram, Waveform


class MaskNetwork(Protocol):
    """The network, loaded and ready; may be called from several threads at once."""

    def masks(self, spectrum: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(frames, 4 · bins) → (stems, frames, 4 · bins), see `unweave.families.roformer.graph`."""
        ...


class RoformerSeparator(OverlappingSeparator):
    """Separates one segment at a time, as `unweave.engines.base.SegmentSeparator`.

    Stems are those of the spec, then the complement if it has one. RoFormers bring every band to one level themselves:
    that of a segment does not matter, whatever the description says.
    """

    brings_to_level = False

    def __init__(self, spec: RoformerSpec, network: MaskNetwork, hop: int | None = None) -> None:
        super().__init__(spec, MaskedSegments(spec, network), hop)


class MaskedSegments:
    """The network with its transforms, as `unweave.families.overlapping.SegmentNetwork`."""

    def __init__(self, spec: RoformerSpec, network: MaskNetwork) -> None:
        self._spec = spec
        self.network = network

    def waveforms(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """The network's stems with the given indices: (channels, length) → (stems, channels, length)."""
        spec = self._spec
        spectrum = centred_stft(segment, spec.n_fft, spec.hop_length)
        masks = self.network.masks(as_numbers(spectrum))
        separated = np.empty((len(stems), *segment.shape), np.float32)
        for row, stem in enumerate(stems):
            masked = spectrum * from_numbers(masks[stem])
            if spec.zero_dc:
                masked[..., 0] = 0
            separated[row] = centred_istft(masked, segment.shape[1], spec.n_fft, spec.hop_length)
        return separated


def as_numbers(spectrum: Spectrogram) -> npt.NDArray[np.float32]:
    """(channels, frames, bins) complex → (frames, 4 · bins): for each bin, channel by channel, both parts."""
    together = np.ascontiguousarray(spectrum.transpose(1, 2, 0), np.complex64)
    return together.view(np.float32).reshape(spectrum.shape[1], NUMBERS_PER_BIN * spectrum.shape[2])


def from_numbers(numbers: npt.NDArray[np.float32]) -> Spectrogram:
    """The inverse of `as_numbers`."""
    together = np.ascontiguousarray(numbers, np.float32).view(np.complex64)
    return together.reshape(len(numbers), -1, N_CHANNELS).transpose(2, 0, 1)
