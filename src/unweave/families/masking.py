"""Masking models: on each segment, spectrum → networks → masks or Wiener filter → stems."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.dsp.masks import fade_weights, ratio_masks, shares_above
from unweave.dsp.memory import large_zeros
from unweave.dsp.stft import FRAMES_AT_ONCE, add_frames, analyse
from unweave.dsp.wiener import SpatialModel, SpatialStatistics, measure, wiener_filter
from unweave.engines.base import Network, SegmentSeparator
from unweave.engines.cascade import CascadeNetwork
from unweave.engines.choose import Runtime, cpu_network, require_runtime
from unweave.families.base import Loaded, LoadOptions, MaskingModel
from unweave.families.unet.path import network_path
from unweave.models.resolve import ResolvedModel
from unweave.models.spec import MaskModelSpec, ModelSpec
from unweave.types import Spectrogram, Waveform

# (mixture's spectrum, magnitudes of each stem, indices of the chosen stems) of a few frames → the spectra (channels,
# frames, bins) of the chosen stems, one by one; each may be overwritten when the next is asked for.
FrameFilter = Callable[[Spectrogram, npt.NDArray[np.float32], Sequence[int]], Iterator[Spectrogram]]

Located = tuple[MaskModelSpec, Path]  # a model as it is run, and the place of its weights


def check(spec: ModelSpec, runtime: Runtime) -> None:
    """See `unweave.families.load.Family`."""
    require_runtime(runtime)


def load(resolved: ResolvedModel, options: LoadOptions) -> Loaded:
    """See `unweave.families.load.Family`: one network or several, or two models in a row."""

    def located(model: ResolvedModel) -> Located:
        assert isinstance(model.spec, MaskModelSpec)
        return options.quality.apply(model.spec), model.locate(options.offline, options.on_download)

    spec, location = located(resolved)
    before = None if resolved.before is None else located(resolved.before)
    network = _network(spec, location, before, options)
    # A device that takes segments whole does everything around the networks as well.
    separator = network if isinstance(network, SegmentSeparator) else MaskingSeparator(spec, network)
    # Masks always sum to one, but above their bins there may be none.
    sums = spec.mask_extension != "zeros"
    return Loaded(spec, separator, MaskingModel(spec, network), sums_to_mixture=sums)


def _network(spec: MaskModelSpec, location: Path, before: Located | None, options: LoadOptions) -> Network:
    runtime = options.runtime.on_best_device()
    if runtime.device == "cpu":
        network = cpu_network(graph_path(spec, location), runtime)
        if before is None:
            return network
        first_spec, first_location = before
        first = cpu_network(graph_path(first_spec, first_location), runtime)
        return CascadeNetwork(first, network, first_spec.mask_exponent, first_spec.n_bins)
    from unweave.engines.torch import TorchSeparator
    from unweave.families.torch_network import load_network

    module = load_network(spec, location)
    if before is not None:
        from unweave.families.cascade import Cascade

        module = Cascade(load_network(*before), module, before[0].mask_exponent, before[0].n_bins)
    precision = "float16" if runtime.precision == "auto" else runtime.precision
    return TorchSeparator(spec, module, runtime.device, precision)


def graph_path(spec: MaskModelSpec, location: Path) -> Path:
    """The ONNX file that runs ``spec`` with the weights at ``location``, made if it was not yet."""
    if spec.network == "bands":
        from unweave.families.bands.path import bands_network_path

        return bands_network_path(spec, location)
    return network_path(spec, location)


class MaskingSeparator:
    """Separates segments of a mixture with ratio masks; has no state, and serves several threads."""

    def __init__(self, spec: MaskModelSpec, network: Network) -> None:
        self.spec = spec
        self._network = network
        self._workspace = threading.local()
        self.segmentation = spec.segmentation
        self._fades = [
            fade_weights(spec.n_frames, spec.overlap_frames, is_first=is_first)[:, None] for is_first in (False, True)
        ]

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be overlap-added."""
        n_bins = self.spec.n_bins if self.spec.mask_extension == "zeros" else None
        spectrum, estimates = self._estimate(segment, n_bins)
        return self._synthesise(spectrum, estimates, stems, self._filter, is_first)

    def _estimate(self, segment: Waveform, n_bins: int | None) -> tuple[Spectrogram, npt.NDArray[np.float32]]:
        """The mixture's lowest ``n_bins`` bins (channels, frames, bins), and the networks' magnitudes of each stem.

        Both lie in this thread's workspace until its next segment: large arrays that come and go leave holes.
        """
        space = self._workspace.__dict__
        spectrum = analyse(segment, self.spec.n_fft, self.spec.hop_length, n_bins, out=space.get("spectrum"))
        magnitude = np.abs(spectrum[..., : self.spec.n_bins], out=space.get("magnitude"))
        space.update(spectrum=spectrum, magnitude=magnitude)
        return spectrum, self._network.estimate(magnitude)

    def _filter(
        self, spectrum: Spectrogram, estimates: npt.NDArray[np.float32], stems: Sequence[int]
    ) -> Iterator[Spectrogram]:
        """See `FrameFilter`."""
        masks = ratio_masks(estimates, self.spec.mask_exponent)
        n_bins, n_masked = spectrum.shape[-1], masks.shape[-1]
        # With all bins, since a transform that has to fill them up takes longer.
        filtered = np.zeros((*spectrum.shape[:-1], self.spec.n_fft // 2 + 1), np.complex64)
        for stem in stems:
            np.multiply(spectrum[..., :n_masked], masks[stem], out=filtered[..., :n_masked])
            if n_bins > n_masked:
                share = shares_above(masks[stem], self.spec.mask_extension)
                np.multiply(spectrum[..., n_masked:], share, out=filtered[..., n_masked:n_bins])
            yield filtered

    def _synthesise(
        self,
        spectrum: Spectrogram,
        estimates: npt.NDArray[np.float32],
        stems: Sequence[int],
        filter_frames: FrameFilter,
        is_first: bool,
    ) -> npt.NDArray[np.float32]:
        """Filter a few frames at a time and add them up: what is in between never leaves the processor's cache."""
        n_channels, n_frames, _ = spectrum.shape
        separated = large_zeros((len(stems), n_channels, self.segmentation.length))
        for start in range(0, n_frames, FRAMES_AT_ONCE):
            part = slice(start, start + FRAMES_AT_ONCE)
            weights = self._fades[is_first][part]
            is_faded = bool((weights != 1).any())
            for samples, filtered in zip(
                separated, filter_frames(spectrum[:, part], estimates[:, :, part], stems), strict=True
            ):
                if is_faded:
                    filtered *= weights
                add_frames(samples, start, filtered, self.spec.n_fft, self.spec.hop_length)
        return separated


class WienerSeparator(MaskingSeparator):
    """Separates with the multichannel Wiener filter instead of masks.

    ``model`` holds the spatial covariances of the whole track, which `measure` collects in a pass of its own; without
    it each segment is filtered with its own covariances, in one pass.
    """

    def __init__(self, spec: MaskModelSpec, network: Network, model: SpatialModel | None = None) -> None:
        super().__init__(spec, network)
        self._model = model

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """See `MaskingSeparator.separate`."""
        spectrum, estimates = self._estimate(segment, None)
        model = self._model or SpatialModel(measure(estimates, spectrum))

        def wiener(
            spectrum: Spectrogram, estimates: npt.NDArray[np.float32], stems: Sequence[int]
        ) -> Iterator[Spectrogram]:
            return iter(wiener_filter(estimates, spectrum, model, stems))

        return self._synthesise(spectrum, estimates, stems, wiener, is_first)

    def measure(self, segment: Waveform) -> SpatialStatistics:
        """The statistics of one segment, to be summed over all of them."""
        spectrum, estimates = self._estimate(segment, None)
        return measure(estimates, spectrum)
