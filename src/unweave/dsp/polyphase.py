"""Change of the sample rate by a ratio of whole numbers, of one segment at a time, with a polyphase filter.

The filter is that of ``scipy.signal.resample_poly``: a windowed sinc (Kaiser, β = 5) of ten zero crossings on either
side, cut off at the lower of the two Nyquist frequencies, with a gain of one at zero hertz. What reaches beyond the
segment is silence. Streams are resampled by `unweave.audio.resample`.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np

from unweave.types import Waveform

ZERO_CROSSINGS = 10
KAISER_BETA = 5.0
PERIODS_AT_ONCE = 1 << 11  # a few megabytes of windows


def resample_segment(wave: Waveform, rate_in: int, rate_out: int) -> Waveform:
    """(channels, samples) at ``rate_in`` → (channels, ⌈samples · rate_out / rate_in⌉) at ``rate_out``."""
    if rate_in == rate_out:
        return wave
    common = gcd(rate_in, rate_out)
    up, down = rate_out // common, rate_in // common
    n_channels, n_samples = wave.shape
    n_out = -(-n_samples * up // down)
    n_periods = -(-n_out // up)
    filters, reach = _filters(up, down)
    padded = np.zeros((n_channels, n_periods * down + 2 * reach + 1), np.float32)
    padded[:, reach : reach + n_samples] = wave[:, : padded.shape[1] - reach]
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(filters), axis=-1)[:, ::down]
    resampled = np.empty((n_channels, n_periods, up), np.float32)
    for start in range(0, n_periods, PERIODS_AT_ONCE):
        part = slice(start, start + PERIODS_AT_ONCE)
        np.matmul(np.ascontiguousarray(windows[:, part]), filters, out=resampled[:, part])
    return resampled.reshape(n_channels, -1)[:, :n_out]


@lru_cache(maxsize=16)
def _filters(up: int, down: int) -> tuple[Waveform, int]:
    """Every ``down`` samples become ``up``: the taps of each of those, (window, up), and the first tap's distance.

    Output r of a period lies at input r · down / up; input j of it meets the tap r · down − j · up of the filter, which
    is centred on zero.
    """
    longest = max(up, down)
    half = ZERO_CROSSINGS * longest
    taps = np.sinc(np.arange(-half, half + 1) / longest) * np.kaiser(2 * half + 1, KAISER_BETA)
    taps *= up / taps.sum()
    reach = half // up
    places = np.arange(up) * down - np.arange(-reach, down + reach + 1)[:, None] * up + half
    is_reached = (places >= 0) & (places <= 2 * half)
    filters = np.where(is_reached, taps[np.clip(places, 0, 2 * half)], 0).astype(np.float32)
    filters.setflags(write=False)
    return filters, reach
