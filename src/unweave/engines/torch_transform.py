"""The short-time Fourier transform in PyTorch: on the device, and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.dsp.stft import hann, synthesis_window


class TorchTransform:
    """Waveforms ↔ spectra on the same frames as `unweave.dsp.stft`, without the silence around a whole signal."""

    def __init__(self, n_fft: int, hop_length: int, device: torch.device) -> None:
        self._n_fft, self._hop = n_fft, hop_length
        self._analysis = torch.from_numpy(hann(n_fft).copy()).to(device)
        self._synthesis = torch.from_numpy(synthesis_window(n_fft, hop_length).copy()).to(device)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(…, samples) → (…, frames, n_fft // 2 + 1)."""
        spectra: Tensor = torch.fft.rfft(waveforms.unfold(-1, self._n_fft, self._hop) * self._analysis)
        return spectra

    def inverse(self, spectra: Tensor) -> Tensor:
        """(…, frames, bins) → (…, samples); bins above are silent, and the first and last frames fade."""
        frames = torch.fft.irfft(spectra, n=self._n_fft) * self._synthesis
        *lead, n_frames, _ = frames.shape
        n_parts = self._n_fft // self._hop
        parts = frames.reshape(*lead, n_frames, n_parts, self._hop)
        hops = frames.new_zeros(*lead, n_frames + n_parts - 1, self._hop)
        for part in range(n_parts):
            hops[..., part : part + n_frames, :] += parts[..., part, :]
        waveforms: Tensor = hops.reshape(*lead, -1)
        return waveforms
