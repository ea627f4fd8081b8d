"""Change of sample rate, in pieces, equal to doing it in one shot."""

from __future__ import annotations

import numpy as np
import soxr

from unweave.types import Waveform


class Resampler:
    """Takes blocks (channels, samples) at one rate and gives blocks at another; equal rates pass through untouched.

    The filter is soxr's "HQ": linear phase, 20 bits, and its delay is taken off, so that nothing shifts in time.
    """

    def __init__(self, rate_in: int, rate_out: int, n_channels: int) -> None:
        self._stream = (
            None if rate_in == rate_out else soxr.ResampleStream(rate_in, rate_out, n_channels, dtype="float32")
        )

    def push(self, block: Waveform) -> Waveform:
        """The samples that ``block`` completes."""
        return block if self._stream is None else self._resample(block, last=False)

    def flush(self, n_channels: int) -> Waveform:
        """The samples still held back, at the end of the input."""
        rest = np.zeros((n_channels, 0), np.float32)
        return rest if self._stream is None else self._resample(rest, last=True)

    def _resample(self, block: Waveform, *, last: bool) -> Waveform:
        assert self._stream is not None
        resampled: Waveform = self._stream.resample_chunk(np.ascontiguousarray(block.T), last=last).T
        return resampled


def resampled_length(n_samples: int, rate_in: int, rate_out: int) -> int:
    """How many samples ``n_samples`` at ``rate_in`` are at ``rate_out``, rounded up so that nothing is cut off."""
    return -(-n_samples * rate_out // rate_in)
