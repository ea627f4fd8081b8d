"""How RoFormers cut the spectrum into bands.

BS-RoFormer (W.-T. Lu et al., "Music source separation with band-split RoPE transformer", ICASSP 2024) uses neighbouring
bands that do not overlap. Mel-Band RoFormer (J.-C. Wang et al., "Mel-band RoFormer for music source separation", ISMIR
2023 late-breaking) uses the triangles of a mel filterbank: each bin lies in one or two bands, whose masks are averaged.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

# Bins per band in every published BS-RoFormer at n_fft 2048.
BS_BANDS = (2,) * 24 + (4,) * 12 + (12,) * 8 + (24,) * 8 + (48,) * 8 + (128, 129)

# Slaney's mel scale: linear below 1 kHz, 27 steps per factor of 6.4 above.
HZ_PER_MEL = 200 / 3
BREAK_HZ = 1000.0
LOG_STEP = np.log(6.4) / 27


def neighbouring_bands(sizes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The bins of each band, where bands of the given sizes follow each other."""
    edges = np.cumsum((0, *sizes))
    return tuple(tuple(range(start, stop)) for start, stop in pairwise(edges))


@lru_cache(maxsize=8)
def mel_bands(n_bands: int, n_fft: int, sample_rate: int) -> tuple[tuple[int, ...], ...]:
    """The bins of each band: those where a triangular mel filter is above zero, with both ends of the spectrum.

    The filters are librosa's ``mel`` with its defaults (Slaney's scale, from 0 Hz to half the sample rate). Raises
    ValueError where the bands leave bins out, or a band is empty.
    """
    top = _hz_to_mel(np.array(sample_rate / 2))
    edges = _mel_to_hz(np.linspace(0.0, float(top), n_bands + 2))
    bins = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)
    widths = np.diff(edges)
    ramps = edges[:, None] - bins
    filters = np.clip(-ramps[:-2] / widths[:-1, None], 0.0, ramps[2:] / widths[1:, None])
    filters *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    members = filters.astype(np.float32) > 0
    members[0, 0] = members[-1, -1] = True
    if not members.any(axis=0).all() or not members.any(axis=1).all():
        raise ValueError(f"{n_bands} mel bands do not cover {n_fft // 2 + 1} bins")
    return tuple(tuple(int(k) for k in np.flatnonzero(row)) for row in members)


def _hz_to_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = BREAK_HZ / HZ_PER_MEL + np.log(np.maximum(hz, BREAK_HZ) / BREAK_HZ) / LOG_STEP
    return np.where(hz < BREAK_HZ, hz / HZ_PER_MEL, above)


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    at_break = BREAK_HZ / HZ_PER_MEL
    above = BREAK_HZ * np.exp(LOG_STEP * (np.maximum(mel, at_break) - at_break))
    return np.where(mel < at_break, HZ_PER_MEL * mel, above)
