"""Figures of merit over magnitudes of spectra: what is heard too much, what is missing, and how far off it is.

`bleedless_fullness` and `l1_freq` are those of ZFTurbo's Music-Source-Separation-Training (``utils/metrics.py``), by
which people compare published checkpoints: from 0 to 100, and the more the better. The training code takes all signals
for 44.1 kHz, where its mel bands are concerned; here they follow the sample rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from unweave.dsp.mel import mel_filters
from unweave.dsp.stft import analyse, hann, rectangle
from unweave.types import Magnitude, Waveform

FRAMES_AT_ONCE = 256  # in memory
RANGE_DB = 80.0  # below the loudest value, everything is equally silent
SMALLEST = 1e-10  # magnitude of silence: −200 dB


def bleedless_fullness(reference: Waveform, estimate: Waveform, sample_rate: int) -> tuple[float, float]:
    """How little there is in the estimate that is not in the reference, and how much of the reference is in it.

    Both come from the levels, in dB, of 512 mel bands of frames of 4096 samples, hop 1024: 100 / (1 + mean of what is
    louder than in the reference), and 100 / (1 + mean of what is softer), each over the values of which that is true.
    """
    louder = softer = 0.0
    n_louder = n_softer = 0
    for ours, theirs in zip(_mel_levels(estimate, sample_rate), _mel_levels(reference, sample_rate), strict=True):
        difference = ours - theirs
        above, below = difference > 0, difference < 0
        louder += float(difference[above].sum(dtype=np.float64))
        softer -= float(difference[below].sum(dtype=np.float64))
        n_louder += int(above.sum())
        n_softer += int(below.sum())
    return 100 / (1 + louder / max(n_louder, 1)), 100 / (1 + softer / max(n_softer, 1))


def l1_freq(reference: Waveform, estimate: Waveform) -> float:
    """100 / (1 + 10 · mean difference of magnitudes), over frames of 2048 samples without a window, hop 1024."""
    total, n_values = 0.0, 0
    pairs = zip(_magnitudes(estimate, 2048, "reflect"), _magnitudes(reference, 2048, "reflect"), strict=True)
    for ours, theirs in pairs:
        total += float(np.abs(ours - theirs).sum(dtype=np.float64))
        n_values += ours.size
    return 100 / (1 + 10 * total / max(n_values, 1))


def log_spectral_distance(reference: Waveform, estimate: Waveform) -> float:
    """The root mean square, over the bins of a frame, of the difference of levels in dB; its mean over all frames.

    A. H. Gray, J. D. Markel, "Distance measures for speech processing", 1976, equation 5, over frames of 2048 samples
    with a Hann window, hop 1024. Levels more than 80 dB below the reference's loudest are taken for that. 0 is perfect.
    """
    peak = max(float(block.max()) for block in _magnitudes(reference, 2048, "constant"))
    floor = max(peak * 10 ** (-RANGE_DB / 20), SMALLEST)
    total, n_frames = 0.0, 0
    pairs = zip(_magnitudes(estimate, 2048, "constant"), _magnitudes(reference, 2048, "constant"), strict=True)
    for ours, theirs in pairs:
        difference = 20 * np.log10(np.maximum(ours, floor) / np.maximum(theirs, floor))
        distances = np.sqrt(np.square(difference).mean(axis=-1, dtype=np.float64))
        total += float(distances.sum())
        n_frames += distances.size
    return total / max(n_frames, 1)


def _mel_levels(waveform: Waveform, sample_rate: int) -> Iterator[npt.NDArray[np.float32]]:
    """Blocks of (channels, frames, mel bands) in dB, down to `RANGE_DB` below the loudest of all."""
    n_fft, filters = 4096, mel_filters(512, 4096, sample_rate).T
    blocks = [np.matmul(block, filters) for block in _magnitudes(waveform, n_fft, "constant")]
    levels = [20 * np.log10(np.maximum(block, np.float32(SMALLEST))) for block in blocks]
    floor = np.float32(max(level.max() for level in levels) - RANGE_DB)
    for level in levels:
        yield np.maximum(level, floor)


def _magnitudes(waveform: Waveform, n_fft: int, mode: Literal["constant", "reflect"]) -> Iterator[Magnitude]:
    """Blocks of (channels, frames, bins), hop 1024, centred; frames have a Hann window beyond zeros, none otherwise."""
    hop = 1024
    padded = np.pad(waveform.astype(np.float32, copy=False), [(0, 0), (n_fft // 2, n_fft // 2)], mode=mode)
    n_frames = 1 + waveform.shape[1] // hop
    for start in range(0, n_frames, FRAMES_AT_ONCE):
        stop = min(start + FRAMES_AT_ONCE, n_frames)
        part = padded[:, start * hop : (stop - 1) * hop + n_fft]
        yield np.abs(analyse(part, n_fft, hop, window_shape=hann if mode == "constant" else rectangle))
