"""The spectrum that a hybrid network of Demucs sees, and the way back: ``_spec`` and ``_ispec`` of the original.

Frames are centred, divided by √n_fft, and there is one for each hop; the highest bin and two frames at either end are
left out. Beyond its borders a segment is reflected. Where networks of the first hours were trained with zeros there
(``hybrid_old``), they also learned to give everything one and a half hops late.
"""

from __future__ import annotations

import numpy as np

from unweave.dsp.centred_stft import centred_istft
from unweave.dsp.stft import add_frames, analyse
from unweave.families.demucs.spec import HybridSpec
from unweave.types import Spectrogram, Waveform

N_DROPPED_FRAMES = 2  # at either end


def spectrum_of(segment: Waveform, spec: HybridSpec) -> Spectrogram:
    """(channels, samples) → (channels, frames, bins): one frame per hop, ⌈samples / hop⌉ in all."""
    hop, n_fft = spec.hop_length, spec.n_fft
    n_frames = -(-segment.shape[1] // hop)
    before = hop // 2 * 3
    after = before + n_frames * hop - segment.shape[1]
    padded = np.pad(segment, [(0, 0), (before, after)]) if spec.zero_borders else _reflected(segment, before, after)
    # The frames that are centred on the reflection of this reflection are among those left out.
    centred = np.pad(padded, [(0, 0), (n_fft // 2, n_fft // 2)], mode="reflect")
    spectrum = analyse(centred, n_fft, hop, spec.n_bins)
    spectrum *= np.float32(1 / np.sqrt(n_fft))
    return spectrum[:, N_DROPPED_FRAMES : N_DROPPED_FRAMES + n_frames]


def waveform_of(spectrum: Spectrogram, spec: HybridSpec, n_samples: int | None = None) -> Waveform:
    """The inverse of `spectrum_of`, of ``n_samples`` or else a segment's length."""
    hop, n_fft = spec.hop_length, spec.n_fft
    n_samples = spec.segment_samples if n_samples is None else n_samples
    n_channels, n_frames, n_bins = spectrum.shape
    framed = np.zeros((n_channels, n_frames + 2 * N_DROPPED_FRAMES, n_bins), np.complex64)
    framed[:, N_DROPPED_FRAMES:-N_DROPPED_FRAMES] = spectrum
    framed *= np.float32(np.sqrt(n_fft))
    if spec.zero_borders:
        return centred_istft(framed, n_samples, n_fft, hop)
    samples = np.zeros((n_channels, (framed.shape[1] - 1) * hop + n_fft), np.float32)
    add_frames(samples, 0, framed, n_fft, hop)
    start = n_fft // 2 + hop // 2 * 3
    return samples[:, start : start + n_samples]


def _reflected(segment: Waveform, before: int, after: int) -> Waveform:
    """The segment between its reflections; one that is too short for them is first filled up with zeros."""
    missing = max(max(before, after) - segment.shape[1] + 1, 0)
    zeros_after = min(after, missing)
    zeros_before = missing - zeros_after
    filled = np.pad(segment, [(0, 0), (zeros_before, zeros_after)])
    return np.pad(filled, [(0, 0), (before - zeros_before, after - zeros_after)], mode="reflect")
