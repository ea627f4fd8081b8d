"""Cut a signal into overlapping segments, and join what comes back by adding where they overlap.

The cutter and the joiner know nothing of what happens in between. They serve any model that maps a segment of samples
to the same number of samples per stem, and whose outputs add up: a masking model does (its overlap-add simply goes on
over the border), and so does a waveform model that weights its segments with a cross-fade.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unweave.dsp.memory import large_zeros
from unweave.types import Waveform


@dataclass(frozen=True)
class Segmentation:
    """Where segments lie: segment k covers samples [k · hop − lead, k · hop − lead + length) of the signal."""

    length: int  # samples
    hop: int  # samples
    lead: int  # samples of silence before the signal

    def count(self, n_samples: int) -> int:
        """How many segments a signal of ``n_samples`` needs."""
        return -(-(n_samples + self.lead) // self.hop) if n_samples else 0


class SegmentCutter:
    """Takes blocks of any length (channels, samples) and gives whole segments."""

    def __init__(self, segmentation: Segmentation, n_channels: int) -> None:
        self._segmentation = segmentation
        self._pending = [np.zeros((n_channels, segmentation.lead), np.float32)]
        self._n_pending = segmentation.lead
        self._n_cut = 0
        self.n_samples = 0

    def push(self, block: Waveform) -> Iterator[Waveform]:
        """The segments that ``block`` completes, each (channels, length)."""
        self.n_samples += block.shape[1]
        self._append(block)
        while self._n_pending >= self._segmentation.length:
            yield self._cut()

    def flush(self) -> Iterator[Waveform]:
        """The last segments, filled up with silence."""
        while self._n_cut < self._segmentation.count(self.n_samples):
            missing = self._segmentation.length - self._n_pending
            if missing > 0:
                self._append(np.zeros((len(self._pending[0]), missing), np.float32))
            yield self._cut()

    def _append(self, block: Waveform) -> None:
        self._pending.append(block)
        self._n_pending += block.shape[1]

    def _cut(self) -> Waveform:
        pending = large_zeros((len(self._pending[0]), self._n_pending))
        np.concatenate(self._pending, axis=1, out=pending)
        segment: Waveform = pending[:, : self._segmentation.length]
        # A copy, so that the rest does not keep the whole segment in memory.
        self._pending = [pending[:, self._segmentation.hop :].copy()]
        self._n_pending = self._pending[0].shape[1]
        self._n_cut += 1
        return segment


class SegmentJoiner:
    """Takes the separated segments in order, (stems, channels, length) each, and gives the signal without its lead."""

    def __init__(self, segmentation: Segmentation) -> None:
        self._hop = segmentation.hop
        self._to_drop = segmentation.lead
        self._tail: npt.NDArray[np.float32] | None = None

    def push(self, segment: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The samples that no later segment will change. ``segment`` may be overwritten."""
        if self._tail is not None:
            segment[..., : self._tail.shape[-1]] += self._tail
        self._tail = segment[..., self._hop :].copy()
        dropped = min(self._to_drop, self._hop)
        self._to_drop -= dropped
        return segment[..., dropped : self._hop]


class SampleQueue:
    """Samples that wait for others to catch up: blocks (channels, samples) in, any number of samples out."""

    def __init__(self) -> None:
        self._blocks: deque[Waveform] = deque()

    def push(self, block: Waveform) -> None:
        """Append samples."""
        if block.shape[1]:
            self._blocks.append(block)

    def take(self, n_samples: int, n_channels: int) -> Waveform:
        """The next ``n_samples`` samples; where fewer are left, silence follows."""
        taken = np.zeros((n_channels, n_samples), np.float32)
        position = 0
        while position < n_samples and self._blocks:
            block = self._blocks.popleft()
            n_used = min(block.shape[1], n_samples - position)
            taken[:, position : position + n_used] = block[:, :n_used]
            if n_used < block.shape[1]:
                self._blocks.appendleft(block[:, n_used:])
            position += n_used
        return taken
