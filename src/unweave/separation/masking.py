"""A masking model on one segment: spectrum → networks → masks or Wiener filter → stems."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unweave.dsp.masks import apply_mask, extend_masks, ratio_masks
from unweave.dsp.stft import analyse, synthesise
from unweave.dsp.wiener import SpatialModel, SpatialStatistics, measure, wiener_filter
from unweave.engines.base import Network
from unweave.models.spec import MaskModelSpec
from unweave.separation.segments import Segmentation
from unweave.types import Spectrogram, Waveform


class MaskingSeparator:
    """Separates segments of a mixture with ratio masks; has no state, and serves several threads."""

    def __init__(self, spec: MaskModelSpec, network: Network) -> None:
        self.spec = spec
        self._network = network
        self.segmentation = Segmentation(length=spec.segment_samples, hop=spec.hop_samples, lead=spec.n_fft)

    def separate(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be overlap-added."""
        spectrum, estimates = self.estimate(segment)
        separated = np.empty((len(stems), *segment.shape), np.float32)
        masks = ratio_masks(estimates, self.spec.mask_exponent)
        for row, stem in enumerate(stems):
            mask = masks[stem]
            if self.spec.mask_extension != "zeros":
                mask = extend_masks(mask, spectrum.shape[-1], self.spec.mask_extension)
            separated[row] = self._synthesise(apply_mask(spectrum, mask))
        return separated

    def estimate(self, segment: Waveform) -> tuple[Spectrogram, npt.NDArray[np.float32]]:
        """The mixture's spectrum (channels, frames, bins) and the networks' magnitudes, stacked over the stems."""
        spectrum = analyse(segment, self.spec.n_fft, self.spec.hop_length)
        return spectrum, self._network.estimate(np.abs(spectrum[..., : self.spec.n_bins]))

    def _synthesise(self, spectrum: Spectrogram) -> Waveform:
        return synthesise(spectrum, self.spec.n_fft, self.spec.hop_length)


class WienerSeparator(MaskingSeparator):
    """Separates with the multichannel Wiener filter instead of masks.

    ``model`` holds the spatial covariances of the whole track, which `measure` collects in a pass of its own; without
    it each segment is filtered with its own covariances, in one pass.
    """

    def __init__(self, spec: MaskModelSpec, network: Network, model: SpatialModel | None = None) -> None:
        super().__init__(spec, network)
        self._model = model

    def separate(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """See `MaskingSeparator.separate`."""
        spectrum, estimates = self.estimate(segment)
        model = self._model or SpatialModel(measure(estimates, spectrum))
        filtered = wiener_filter(estimates, spectrum, model, stems)
        return np.stack([self._synthesise(stem) for stem in filtered])

    def measure(self, segment: Waveform) -> SpatialStatistics:
        """The statistics of one segment, to be summed over all of them."""
        spectrum, estimates = self.estimate(segment)
        return measure(estimates, spectrum)
