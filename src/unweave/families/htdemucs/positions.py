"""Where a token is: the sines that the transformer's inputs are given.

Phases reach thousands of radians, so that the original's single precision is audible in them: they are computed step by
step in the precision it uses, with correctly rounded powers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def sample_positions(n_tokens: int, width: int, max_period: float) -> Array:
    """(tokens, width): cosines, then sines, of positions over periods from 2π to 2π · ``max_period``."""
    half = width // 2
    exponents = np.arange(half, dtype=np.float32) / np.float32(max(half - 1, 1))
    periods = (max_period ** exponents.astype(np.float64)).astype(np.float32)
    phases = np.arange(n_tokens, dtype=np.float32)[:, None] / periods
    return np.concatenate([np.cos(phases), np.sin(phases)], axis=1)


def frame_positions(n_frames: int, n_rows: int, width: int, max_period: float) -> Array:
    """(frames · rows, width), row after row within a frame: the first half tells the frame, the second the row.

    Within a half, sines and cosines of the same period alternate.
    """
    half = width // 2
    exponents = np.arange(0, half, 2, dtype=np.float32) * np.float32(-np.log(max_period) / half)
    steps = np.exp(exponents.astype(np.float64)).astype(np.float32)

    def waves(n: int) -> Array:
        phases = np.arange(n, dtype=np.float32)[:, None] * steps
        return np.stack([np.sin(phases), np.cos(phases)], axis=2).reshape(n, half)

    encoded = np.empty((n_frames, n_rows, width), np.float32)
    encoded[..., :half] = waves(n_frames)[:, None]
    encoded[..., half:] = waves(n_rows)
    return encoded.reshape(-1, width)
