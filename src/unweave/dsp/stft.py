"""Short-time Fourier transform and its inverse, in one shot and in pieces.

The convention is Spleeter's: ``n_fft`` zeros are put in front, frames are not centred, the window is a periodic Hann,
and the last frame is the first that leaves no sample uncovered, so that N samples give ⌈(N + n_fft) / hop⌉ frames. The
inverse multiplies by the same window, adds the frames up where they overlap and divides by Σ window² (3/2 for a hop of
a quarter of the frame), which gives back every sample exactly (Griffin & Lim, 1984, equation 6).

In pieces: `analyse` takes any run of samples that starts on a frame, and `synthesise` gives the overlap-added samples
of a run of frames; runs that follow each other overlap by ``n_fft − hop`` samples, and adding them there equals the
one-shot result (`unweave.dsp.segments` does so).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from unweave.types import Spectrogram, Waveform

# Two channels of so many frames of 4096 samples take half a megabyte.
FRAMES_AT_ONCE = 16


@lru_cache(maxsize=8)
def hann(n_fft: int) -> Waveform:
    """The periodic Hann window of ``n_fft`` samples."""
    phase = 2 * np.pi * np.arange(n_fft) / n_fft
    window: Waveform = (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
    window.setflags(write=False)
    return window


@lru_cache(maxsize=8)
def rectangle(n_fft: int) -> Waveform:
    """No window at all: ones."""
    window = np.ones(n_fft, np.float32)
    window.setflags(write=False)
    return window


@lru_cache(maxsize=8)
def synthesis_window(n_fft: int, hop_length: int) -> Waveform:
    """The window of the inverse: Hann divided by the constant sum of Hann² over the overlapping frames.

    Raises ValueError where that sum is not constant (the hop must divide the frame at least three times).
    """
    squared = hann(n_fft).astype(np.float64) ** 2
    if n_fft % hop_length or n_fft // hop_length < 3:
        raise ValueError(f"hop_length must divide n_fft at least three times, got {hop_length} and {n_fft}")
    gain = float(squared.sum() / hop_length)
    window: Waveform = (hann(n_fft).astype(np.float64) / gain).astype(np.float32)
    window.setflags(write=False)
    return window


def frame_count(n_samples: int, n_fft: int, hop_length: int) -> int:
    """How many frames cover ``n_samples`` samples and the zeros in front of them."""
    return -(-(n_samples + n_fft) // hop_length)


def analyse(
    samples: Waveform,
    n_fft: int,
    hop_length: int,
    n_bins: int | None = None,
    out: Spectrogram | None = None,
    window_shape: Callable[[int], Waveform] = hann,
) -> Spectrogram:
    """Spectra of all whole frames in ``samples``: (…, samples) → (…, frames, n_fft // 2 + 1).

    With ``n_bins`` only the lowest are kept; ``out`` is filled and returned if it has the right shape. Works through a
    few frames at a time, which stay in the processor's cache: 1.7 times faster than all at once, and without a copy of
    every frame in memory.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft, axis=-1)[..., ::hop_length, :]
    n_frames = frames.shape[-2]
    n_kept = n_fft // 2 + 1 if n_bins is None else n_bins
    shape = (*samples.shape[:-1], n_frames, n_kept)
    spectrum = out if out is not None and out.shape == shape else np.empty(shape, np.complex64)
    # Scaled, since NumPy stays in float32 only where it divides by n_fft: with its usual norm the whole transform is in
    # float64, at four times the time (NumPy 2.0 to 2.4, whose factor of one is an integer).
    window = window_shape(n_fft) * np.float32(n_fft)
    for start in range(0, n_frames, FRAMES_AT_ONCE):
        part = slice(start, start + FRAMES_AT_ONCE)
        spectrum[..., part, :] = np.fft.rfft(frames[..., part, :] * window, norm="forward")[..., :n_kept]
    return spectrum


def synthesise(spectrum: Spectrogram, n_fft: int, hop_length: int) -> Waveform:
    """Overlap-add the inverse transforms: (…, frames, bins) → (…, (frames − 1) · hop + n_fft) samples.

    Fewer than ``n_fft // 2 + 1`` bins are taken as the lowest ones; the missing bins are zero.
    """
    *lead, n_frames, _ = spectrum.shape
    samples = np.zeros((*lead, (n_frames - 1) * hop_length + n_fft), np.float32)
    for start in range(0, n_frames, FRAMES_AT_ONCE):
        add_frames(samples, start, spectrum[..., start : start + FRAMES_AT_ONCE, :], n_fft, hop_length)
    return samples


def add_frames(samples: Waveform, first: int, spectrum: Spectrogram, n_fft: int, hop_length: int) -> None:
    """Transform the frames (…, frames, bins) back and add them to ``samples`` from the frame ``first`` on, in place."""
    frames = np.fft.irfft(spectrum, n_fft)
    frames *= synthesis_window(n_fft, hop_length)
    *lead, n_frames, _ = frames.shape
    parts = frames.reshape(*lead, n_frames, -1, hop_length)
    hops = samples.reshape(*lead, -1, hop_length)
    for part in range(n_fft // hop_length):
        hops[..., first + part : first + part + n_frames, :] += parts[..., part, :]


def stft(waveform: Waveform, n_fft: int = 4096, hop_length: int = 1024) -> Spectrogram:
    """Transform a whole waveform (…, samples) → (…, frames, bins)."""
    n_samples = waveform.shape[-1]
    n_padded = (frame_count(n_samples, n_fft, hop_length) - 1) * hop_length + n_fft
    padding = [(0, 0)] * (waveform.ndim - 1) + [(n_fft, n_padded - n_fft - n_samples)]
    return analyse(np.pad(waveform, padding), n_fft, hop_length)


def istft(spectrum: Spectrogram, n_samples: int, n_fft: int = 4096, hop_length: int = 1024) -> Waveform:
    """Transform back to exactly ``n_samples`` samples: (…, frames, bins) → (…, samples)."""
    return synthesise(spectrum, n_fft, hop_length)[..., n_fft : n_fft + n_samples]
