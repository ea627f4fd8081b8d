"""The short-time Fourier transform of a model, and how long its segments are."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.engines.torch_transform import TorchTransform
from unweave.models.spec import MaskModelSpec


class Transform(TorchTransform):
    """The transform of a model: its lowest bins of segments, and segments of a given length."""

    def __init__(self, spec: MaskModelSpec, device: torch.device) -> None:
        super().__init__(spec.n_fft, spec.hop_length, device)
        self._n_bins = spec.n_bins

    def forward(self, waveforms: Tensor) -> Tensor:
        """(…, samples) → (…, frames, bins), the lowest ``n_bins``."""
        return super().forward(waveforms)[..., : self._n_bins]

    def whole_part(self, waveforms: Tensor) -> Tensor:
        """The samples of a segment that all frames cover."""
        return waveforms[..., self._n_fft - self._hop : -(self._n_fft - self._hop)]


def segment_samples(spec: MaskModelSpec, n_frames: int) -> int:
    """The length of a segment with ``n_frames`` frames."""
    return (n_frames - 1) * spec.hop_length + spec.n_fft
