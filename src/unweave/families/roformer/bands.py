"""How RoFormers cut the spectrum into bands.

BS-RoFormer (W.-T. Lu et al., "Music source separation with band-split RoPE transformer", ICASSP 2024) uses neighbouring
bands that do not overlap. Mel-Band RoFormer (J.-C. Wang et al., "Mel-band RoFormer for music source separation", ISMIR
2023 late-breaking) uses the triangles of a mel filterbank: each bin lies in one or two bands, whose masks are averaged.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from unweave.dsp.mel import mel_filters

# Bins per band in every published BS-RoFormer at n_fft 2048.
BS_BANDS = (2,) * 24 + (4,) * 12 + (12,) * 8 + (24,) * 8 + (48,) * 8 + (128, 129)


def neighbouring_bands(sizes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The bins of each band, where bands of the given sizes follow each other."""
    edges = np.cumsum((0, *sizes))
    return tuple(tuple(range(start, stop)) for start, stop in pairwise(edges))


@lru_cache(maxsize=8)
def mel_bands(n_bands: int, n_fft: int, sample_rate: int) -> tuple[tuple[int, ...], ...]:
    """The bins of each band: those where a triangular mel filter is above zero, with both ends of the spectrum.

    See `unweave.dsp.mel` for the filters. Raises ValueError where the bands leave bins out, or a band is empty.
    """
    members = mel_filters(n_bands, n_fft, sample_rate) > 0
    members[0, 0] = members[-1, -1] = True
    if not members.any(axis=0).all() or not members.any(axis=1).all():
        raise ValueError(f"{n_bands} mel bands do not cover {n_fft // 2 + 1} bins")
    return tuple(tuple(int(k) for k in np.flatnonzero(row)) for row in members)
