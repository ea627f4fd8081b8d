"""Push blocks of a mixture, get stems: constant memory, whatever the length."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.audio.channels import to_mono, to_stereo
from unweave.audio.resample import Resampler, resampled_length
from unweave.errors import OptionError
from unweave.separation.segments import Segmentation, SegmentCutter, SegmentJoiner
from unweave.types import Stems, Waveform


class SegmentSeparator(Protocol):
    """A model that separates one segment of samples at a time."""

    segmentation: Segmentation

    def separate(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """(channels, length) → (stems, channels, length), such that overlapping segments add up to the stems."""
        ...


class SeparationStream:
    """One mixture on its way through a model.

    Segments are separated in the threads of ``executor``, up to ``max_in_flight`` at once; `push` waits only when all
    of them are busy. What comes out does not depend on how the mixture was cut into blocks, to the last bit. The
    samples that `push` and `flush` return, put together, have the length of what was pushed (at the output's rate).
    """

    def __init__(
        self,
        separator: SegmentSeparator,
        stems: dict[str, int],
        executor: Executor,
        max_in_flight: int,
        *,
        model_rate: int,
        sample_rate: int,
        output_rate: int,
        n_channels: int,
    ) -> None:
        self._separator = separator
        self._names = tuple(stems)
        self._indices = tuple(stems.values())
        self._executor = executor
        self._max_in_flight = max_in_flight
        self._rates = (sample_rate, output_rate)
        self._n_channels = n_channels
        self._n_out_channels = min(n_channels, 2)
        self._cutter = SegmentCutter(separator.segmentation, 2)
        self._joiner = SegmentJoiner(separator.segmentation)
        self._in_flight: deque[Future[npt.NDArray[np.float32]]] = deque()
        self._to_model = Resampler(sample_rate, model_rate, 2)
        self._from_model = Resampler(model_rate, output_rate, len(stems) * self._n_out_channels)
        self._n_pushed = 0
        self._n_returned = 0
        self._n_joined = 0
        self._is_closed = False

    def push(self, block: Waveform) -> Stems:
        """Take samples (channels, samples); returns the stems that are ready, perhaps of no samples yet."""
        self._check(block)
        self._n_pushed += block.shape[1]
        return self._stems(list(self._advance(self._to_model.push(to_stereo(block)))))

    def flush(self) -> Stems:
        """The end of the mixture: returns all the rest. The stream takes no more blocks after it."""
        if self._is_closed:
            raise OptionError("the stream was flushed or closed before")
        ready = list(self._advance(self._to_model.flush(2)))
        for segment in self._cutter.flush():
            ready += self._submit(segment)
        while self._in_flight:
            ready.append(self._next())
        self._is_closed = True
        return self._stems(ready, last=True)

    def close(self) -> None:
        """Give up: what has not begun is not computed."""
        self._is_closed = True
        for future in self._in_flight:
            future.cancel()
        self._in_flight.clear()

    def _check(self, block: Waveform) -> None:
        if self._is_closed:
            raise OptionError("the stream was flushed or closed before")
        if block.ndim != 2 or len(block) != self._n_channels:
            raise OptionError(f"expected a block of shape ({self._n_channels}, samples), got {block.shape}")

    def _advance(self, block: Waveform) -> Iterator[npt.NDArray[np.float32]]:
        for segment in self._cutter.push(block):
            yield from self._submit(segment)
        while self._in_flight and self._in_flight[0].done():
            yield self._next()

    def _submit(self, segment: Waveform) -> list[npt.NDArray[np.float32]]:
        ready = []
        while len(self._in_flight) >= self._max_in_flight:
            ready.append(self._next())
        self._in_flight.append(self._executor.submit(self._separator.separate, segment, self._indices))
        return ready

    def _next(self) -> npt.NDArray[np.float32]:
        """The next stretch of stems at the model's rate, waiting for it: (stems, channels, samples)."""
        joined = self._joiner.push(self._in_flight.popleft().result())
        return to_mono(joined) if self._n_out_channels == 1 else joined

    def _stems(self, ready: list[npt.NDArray[np.float32]], *, last: bool = False) -> Stems:
        """What is ready, at the output's rate and not beyond the mixture's end."""
        n_rows = len(self._names) * self._n_out_channels
        rows = [stretch.reshape(n_rows, -1) for stretch in ready]
        joined = np.concatenate(rows, axis=1) if rows else np.zeros((n_rows, 0), np.float32)
        if last:  # the last segment reaches past the end of the mixture
            joined = joined[:, : self._cutter.n_samples - self._n_joined]
        self._n_joined += joined.shape[1]
        rows_out = self._from_model.push(joined)
        if last:
            rows_out = np.concatenate([rows_out, self._from_model.flush(n_rows)], axis=1)
            rows_out = _of_length(rows_out, resampled_length(self._n_pushed, *self._rates) - self._n_returned)
        self._n_returned += rows_out.shape[1]
        stems = rows_out.reshape(len(self._names), self._n_out_channels, -1)
        return Stems(dict(zip(self._names, stems, strict=True)), self._rates[1])


def _of_length(rows: Waveform, n_samples: int) -> Waveform:
    """Cut or fill with zeros: two resamplings may leave a sample too many or too few at the very end."""
    missing = n_samples - rows.shape[1]
    return np.pad(rows, [(0, 0), (0, missing)]) if missing > 0 else rows[:, :n_samples]
