"""Blocks in, results per segment out, computed in several threads and returned in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Generic, TypeVar

from unweave.audio.channels import to_stereo
from unweave.audio.resample import Resampler
from unweave.dsp.segments import Segmentation, SegmentCutter
from unweave.separation.workers import Workers
from unweave.types import Waveform

Result = TypeVar("Result")


class SegmentFeeder(Generic[Result]):
    """Brings a mixture to the model's rate and channels, cuts it into segments, and has ``work`` done on each,
    which is told whether it is the first.

    Up to ``max_in_flight`` segments are in the hands of ``workers`` at once; `push` waits only beyond that. Results
    come in the order of the segments.
    """

    def __init__(
        self,
        work: Callable[[Waveform, bool], Result],
        segmentation: Segmentation,
        workers: Workers,
        max_in_flight: int,
        *,
        sample_rate: int,
        model_rate: int,
    ) -> None:
        self._work = work
        self._workers = workers
        self._max_in_flight = max_in_flight
        self._cutter = SegmentCutter(segmentation, 2)
        self._resampler = Resampler(sample_rate, model_rate, 2)
        self._in_flight: deque[Future[Result]] = deque()
        self._is_first = True

    @property
    def n_samples(self) -> int:
        """How long the mixture is so far, in samples at the model's rate."""
        return self._cutter.n_samples

    def push(self, block: Waveform) -> Iterator[Result]:
        """Take samples (channels, samples); gives the results that are ready."""
        yield from self._cut(self._resampler.push(to_stereo(block)))
        while self._in_flight and self._in_flight[0].done():
            yield self._in_flight.popleft().result()

    def flush(self) -> Iterator[Result]:
        """The end of the mixture: gives all results that are left, waiting for them."""
        yield from self._cut(self._resampler.flush(2))
        for segment in self._cutter.flush():
            yield from self._submit(segment)
        while self._in_flight:
            yield self._in_flight.popleft().result()

    def close(self) -> None:
        """Give up: what has not begun is not computed."""
        for future in self._in_flight:
            future.cancel()
        self._in_flight.clear()

    def _cut(self, samples: Waveform) -> Iterator[Result]:
        for segment in self._cutter.push(samples):
            yield from self._submit(segment)

    def _submit(self, segment: Waveform) -> Iterator[Result]:
        while len(self._in_flight) >= self._max_in_flight:
            yield self._in_flight.popleft().result()
        self._in_flight.append(self._workers.submit(self._work, segment, self._is_first))
        self._is_first = False
