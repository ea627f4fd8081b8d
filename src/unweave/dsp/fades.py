"""Shares of overlapping segments, such that all the segments that cover a sample add up to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unweave.types import Waveform


def shares(window: npt.NDArray[np.floating], hop: int, *, is_first: bool = False) -> Waveform:
    """``window`` divided by the sum of all windows at each sample, where a segment begins every ``hop`` samples.

    ``is_first`` says that no segment comes before; the shares of the others then still add up if ``hop`` is at least
    half a segment. Where all windows are zero the segment stands alone. Raises ValueError for a hop that leaves gaps.
    """
    if not 0 < hop <= len(window):
        raise ValueError(f"hop must be from 1 to {len(window)}, got {hop}")
    wide = window.astype(np.float64)
    total = wide.copy()
    for shift in range(hop, len(window), hop):
        total[shift:] += wide[:-shift]  # of segments that come later
        total[:-shift] += 0 if is_first else wide[shift:]
    audible = total > 0
    return np.where(audible, wide / np.where(audible, total, 1), 1).astype(np.float32)
