"""The short-time Fourier transform as PyTorch's ``torch.stft`` and ``istft`` do it, of one segment at a time.

Frames are centred on multiples of the hop, with the segment's ends reflected, and the hop need not divide the frame.
The inverse adds the windowed frames up and divides by the sum of the squared windows that reach each sample.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from unweave.dsp.stft import FRAMES_AT_ONCE, analyse, hann
from unweave.types import Spectrogram, Waveform

# Below this sum of squared windows, which only ends of a segment have, nothing is divided; PyTorch's own limit.
SMALLEST_SUM = 1e-11


def centred_stft(
    samples: Waveform, n_fft: int, hop_length: int, window: Callable[[int], Waveform] = hann
) -> Spectrogram:
    """(…, samples) → (…, 1 + samples // hop, n_fft // 2 + 1). Needs more than ``n_fft // 2`` samples."""
    half = n_fft // 2
    padding = [(0, 0)] * (samples.ndim - 1) + [(half, half)]
    return analyse(np.pad(samples, padding, mode="reflect"), n_fft, hop_length, window_shape=window)


def centred_istft(
    spectrum: Spectrogram, n_samples: int, n_fft: int, hop_length: int, window: Callable[[int], Waveform] = hann
) -> Waveform:
    """The inverse: (…, frames, bins) → (…, n_samples). What no frame reaches is zero."""
    *lead, n_frames, _ = spectrum.shape
    half = n_fft // 2
    summed = np.zeros((*lead, max((n_frames - 1) * hop_length + n_fft, half + n_samples)), np.float32)
    for start in range(0, n_frames, FRAMES_AT_ONCE):
        frames = np.fft.irfft(spectrum[..., start : start + FRAMES_AT_ONCE, :], n_fft)
        frames *= window(n_fft)
        for k in range(frames.shape[-2]):
            place = (start + k) * hop_length
            summed[..., place : place + n_fft] += frames[..., k, :]
    summed *= _gains(n_frames, summed.shape[-1], n_fft, hop_length, window)
    return summed[..., half : half + n_samples]


@lru_cache(maxsize=8)
def _gains(n_frames: int, n_samples: int, n_fft: int, hop_length: int, window: Callable[[int], Waveform]) -> Waveform:
    """One over the sum of the squared windows, zero where there is none."""
    squared = window(n_fft).astype(np.float64) ** 2
    total = np.zeros(n_samples)
    for frame in range(n_frames):
        total[frame * hop_length : frame * hop_length + n_fft] += squared
    gains: Waveform = np.where(total > SMALLEST_SUM, 1 / np.maximum(total, SMALLEST_SUM), 0).astype(np.float32)
    gains.setflags(write=False)
    return gains
