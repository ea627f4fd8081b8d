"""PyTorch: segments separated whole on a graphics processor, from samples to samples."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from unweave.dsp.masks import EPSILON, fade_weights
from unweave.engines.lack_of_memory import lack_of_memory_told
from unweave.engines.torch_transform import TorchTransform
from unweave.models.spec import MaskModelSpec
from unweave.types import Magnitude, Waveform

log = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class TorchSeparator:
    """Spectrum, networks, masks and inverse on one device; may be called from several threads at once.

    The networks run in ``precision``, the rest in float32; on CUDA they are compiled, all segments being of one shape,
    and every thread has a stream and pinned buffers of its own, so that copies of one segment overlap with the
    arithmetic of another.
    """

    def __init__(
        self, spec: MaskModelSpec, network: nn.Module, device: str, precision: str, *, compiled: bool | None = None
    ) -> None:
        self._spec = spec
        self._device = torch.device(device)
        self._dtype = DTYPES[precision]
        # Channels last is the layout that the matrix units take; the stubs of `to` do not know it.
        self._network = network.to(self._device, self._dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if compiled if compiled is not None else self._device.type == "cuda":
            self._network = _Compiled(self._network)
        self._transform = TorchTransform(spec.n_fft, spec.hop_length, self._device)
        self._lanes = threading.local()
        fades = [fade_weights(spec.n_frames, spec.overlap_frames, is_first=is_first) for is_first in (False, True)]
        self._fades = [torch.from_numpy(fade).to(self._device)[:, None] for fade in fades]
        self.segmentation = spec.segmentation

    @property
    def n_frames(self) -> int | None:
        """See `unweave.engines.base.Network`."""
        return None

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """See `unweave.engines.base.Network`."""
        with lack_of_memory_told(), torch.inference_mode():
            magnitude = torch.from_numpy(np.ascontiguousarray(mixture))[None].to(self._device, self._dtype)
            estimates: Tensor = self._network(magnitude.to(memory_format=torch.channels_last))
            return estimates[:, 0].float().cpu().numpy()

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be overlap-added."""
        with lack_of_memory_told(), torch.inference_mode():
            if self._device.type != "cuda":
                samples = torch.from_numpy(np.ascontiguousarray(segment)).to(self._device)
                return self._separate(samples, list(stems), is_first).cpu().numpy()
            lane = self._lane(segment.shape, len(stems))
            with torch.cuda.stream(lane.stream):
                lane.pinned_in.copy_(torch.from_numpy(np.ascontiguousarray(segment)))
                samples = lane.pinned_in.to(self._device, non_blocking=True)
                lane.pinned_out.copy_(self._separate(samples, list(stems), is_first), non_blocking=True)
            lane.stream.synchronize()
            return lane.pinned_out.numpy().copy()

    def _separate(self, samples: Tensor, stems: list[int], is_first: bool) -> Tensor:
        spec = self._spec
        spectrum = self._transform.forward(samples)
        magnitude = spectrum[..., : spec.n_bins].abs()[None]
        network_input = magnitude.to(self._dtype, memory_format=torch.channels_last)
        powers = self._network(network_input)[:, 0].float() ** spec.mask_exponent
        masks = (powers[stems] + EPSILON / len(spec.stems)) / (powers.sum(dim=0) + EPSILON)
        missing = spectrum.shape[-1] - spec.n_bins
        if spec.mask_extension != "zeros":
            first = 0 if spec.mask_extension == "average" else spec.n_bins * 3 // 4
            fill = masks[..., first:].mean(dim=-1, keepdim=True).expand(*masks.shape[:-1], missing)
            masks = torch.cat([masks, fill], dim=-1)
        else:
            spectrum = spectrum[..., : spec.n_bins]
        return self._transform.inverse(spectrum * (masks * self._fades[is_first]))

    def _lane(self, shape: tuple[int, ...], n_stems: int) -> _Lane:
        lane: _Lane | None = getattr(self._lanes, "lane", None)
        if lane is None or lane.pinned_out.shape[0] != n_stems:
            lane = self._lanes.lane = _Lane(self._device, shape, n_stems)
        return lane


class _Compiled(nn.Module):
    """The network as PyTorch compiles it at its first call; as it was, where there is no compiler."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._plain = network
        self._network: Callable[[Tensor], Tensor] = torch.compile(network, dynamic=False)
        self._turn = threading.Lock()
        self._is_proven = False

    def forward(self, magnitudes: Tensor) -> Tensor:
        """As the network's."""
        if self._is_proven:
            return self._network(magnitudes)
        with self._turn:  # one thread compiles
            try:
                estimates = self._network(magnitudes)
            except Exception as error:  # whatever its back ends raise
                log.warning("the network cannot be compiled here: %s", " ".join(str(error).split())[:200])
                self._network = self._plain
                estimates = self._network(magnitudes)
            self._is_proven = True
            return estimates


class _Lane:
    """One thread's CUDA stream and pinned memory."""

    def __init__(self, device: torch.device, shape: tuple[int, ...], n_stems: int) -> None:
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pinned_in = torch.empty(shape, pin_memory=True)
        self.pinned_out = torch.empty((n_stems, *shape), pin_memory=True)


def available_device(wanted: str) -> str:
    """The device to use: "auto" takes CUDA, then Apple's Metal, then the CPU; others are returned as they are."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def has_device(device: str) -> bool:
    """Whether PyTorch can compute on ``device``."""
    kind, _, number = device.partition(":")
    if kind == "cuda":
        return int(number or 0) < torch.cuda.device_count()
    return kind == "cpu" or (kind == "mps" and torch.backends.mps.is_available())
