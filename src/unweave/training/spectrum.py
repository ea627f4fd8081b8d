"""The short-time Fourier transform of a model, on the device and differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.dsp.stft import hann, synthesis_window
from unweave.models.spec import MaskModelSpec


class Transform:
    """Waveforms ↔ spectra on the same frames as `unweave.dsp.stft`, without the silence around a whole signal."""

    def __init__(self, spec: MaskModelSpec, device: torch.device) -> None:
        self._n_fft, self._hop, self._n_bins = spec.n_fft, spec.hop_length, spec.n_bins
        self._analysis = torch.from_numpy(hann(spec.n_fft).copy()).to(device)
        self._synthesis = torch.from_numpy(synthesis_window(spec.n_fft, spec.hop_length).copy()).to(device)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(…, samples) → (…, frames, bins), the lowest ``n_bins``."""
        frames = waveforms.unfold(-1, self._n_fft, self._hop)
        spectra: Tensor = torch.fft.rfft(frames * self._analysis)[..., : self._n_bins]
        return spectra

    def inverse(self, spectra: Tensor, n_samples: int) -> Tensor:
        """(…, frames, bins) → (…, samples); bins above are silent, and the first and last frames fade."""
        *lead, n_frames, _ = spectra.shape
        frames = torch.fft.irfft(spectra, n=self._n_fft) * self._synthesis
        columns = frames.reshape(-1, n_frames, self._n_fft).transpose(1, 2)
        length = (n_frames - 1) * self._hop + self._n_fft
        joined = torch.nn.functional.fold(columns, (1, length), (1, self._n_fft), stride=(1, self._hop))
        waveforms: Tensor = joined[:, 0, 0].reshape(*lead, length)
        return torch.nn.functional.pad(waveforms, (0, n_samples - length))

    def whole_part(self, waveforms: Tensor) -> Tensor:
        """The samples of a segment that all frames cover."""
        return waveforms[..., self._n_fft - self._hop : -(self._n_fft - self._hop)]


def segment_samples(spec: MaskModelSpec, n_frames: int) -> int:
    """The length of a segment with ``n_frames`` frames."""
    return (n_frames - 1) * spec.hop_length + spec.n_fft
