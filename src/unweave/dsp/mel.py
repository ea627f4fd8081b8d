"""Triangular filters along Slaney's mel scale: librosa's ``mel`` with its defaults."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

# Slaney's mel scale: linear below 1 kHz, 27 steps per factor of 6.4 above.
HZ_PER_MEL = 200 / 3
BREAK_HZ = 1000.0
LOG_STEP = np.log(6.4) / 27


@lru_cache(maxsize=8)
def mel_filters(n_bands: int, n_fft: int, sample_rate: int) -> npt.NDArray[np.float32]:
    """(bands, n_fft // 2 + 1), from 0 Hz to half the sample rate; all triangles have the same area over frequency."""
    top = _hz_to_mel(np.array(sample_rate / 2))
    edges = _mel_to_hz(np.linspace(0.0, float(top), n_bands + 2))
    bins = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)
    widths = np.diff(edges)
    ramps = edges[:, None] - bins
    triangles = np.maximum(0.0, np.minimum(-ramps[:-2] / widths[:-1, None], ramps[2:] / widths[1:, None]))
    filters = (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    filters.setflags(write=False)
    return filters


def _hz_to_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = BREAK_HZ / HZ_PER_MEL + np.log(np.maximum(hz, BREAK_HZ) / BREAK_HZ) / LOG_STEP
    return np.where(hz < BREAK_HZ, hz / HZ_PER_MEL, above)


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    at_break = BREAK_HZ / HZ_PER_MEL
    above = BREAK_HZ * np.exp(LOG_STEP * (np.maximum(mel, at_break) - at_break))
    return np.where(mel < at_break, HZ_PER_MEL * mel, above)
