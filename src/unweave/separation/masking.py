"""A masking model on one segment: spectrum → networks → masks → stems."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unweave.dsp.masks import apply_mask, extend_masks, ratio_masks
from unweave.dsp.stft import analyse, synthesise
from unweave.engines.base import Network
from unweave.models.spec import MaskModelSpec
from unweave.separation.segments import Segmentation
from unweave.types import Waveform


class MaskingSeparator:
    """Separates segments of a mixture with a masking model; has no state, and serves several threads."""

    def __init__(self, spec: MaskModelSpec, network: Network) -> None:
        self._spec = spec
        self._network = network
        self.segmentation = Segmentation(length=spec.segment_samples, hop=spec.hop_samples, lead=spec.n_fft)

    def separate(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be overlap-added."""
        spec = self._spec
        spectrum = analyse(segment, spec.n_fft, spec.hop_length)
        estimates = self._network.estimate(np.abs(spectrum[..., : spec.n_bins]))
        masks = ratio_masks(estimates, spec.mask_exponent)
        separated = np.empty((len(stems), *segment.shape), np.float32)
        for row, stem in enumerate(stems):
            mask = masks[stem]
            if spec.mask_extension != "zeros":
                mask = extend_masks(mask, spectrum.shape[-1], spec.mask_extension)
            separated[row] = synthesise(apply_mask(spectrum, mask), spec.n_fft, spec.hop_length)
        return separated
