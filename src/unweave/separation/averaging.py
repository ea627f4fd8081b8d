"""Several streams as one: of different models, or of one model over shifted segments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from unweave.dsp.segments import SampleQueue
from unweave.engines.base import SegmentSeparator
from unweave.separation.stream import Stream, StreamFormat
from unweave.types import Stems, Waveform


class ShiftedSeparator:
    """A separator whose segments begin ``shift`` samples earlier: the same mixture in other surroundings."""

    def __init__(self, separator: SegmentSeparator, shift: int) -> None:
        self._separator = separator
        segmentation = separator.segmentation
        self.segmentation = dataclasses.replace(segmentation, lead=segmentation.lead + shift)

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """See `SegmentSeparator.separate`."""
        return self._separator.separate(segment, stems, is_first=is_first)


class AveragedStream:
    """Streams over one mixture side by side, whose stems of the same name are averaged: a `Stream`.

    Samples leave when every stream has them. ``streams`` come with the weight of each; ``names`` are the stems.
    """

    def __init__(self, streams: Sequence[tuple[Stream, float]], names: Sequence[str], form: StreamFormat) -> None:
        self._streams = streams
        self._names = names
        self._form = form
        self._waiting: list[dict[str, SampleQueue]] = [{} for _ in streams]
        self._n_waiting = [0 for _ in streams]

    def push(self, block: Waveform) -> Stems:
        """See `Stream`."""
        for index, (stream, _) in enumerate(self._streams):
            self._take(index, stream.push(block))
        return self._ready()

    def drain(self) -> Iterator[Stems]:
        """See `Stream`."""
        for index, (stream, _) in enumerate(self._streams):
            for part in stream.drain():
                self._take(index, part)
                yield self._ready()

    def close(self) -> None:
        """See `Stream`."""
        for stream, _ in self._streams:
            stream.close()

    def _take(self, index: int, part: Stems) -> None:
        for name, waveform in part.items():
            self._waiting[index].setdefault(name, SampleQueue()).push(waveform)
        self._n_waiting[index] += part.n_samples

    def _ready(self) -> Stems:
        """The samples that all models have, averaged."""
        n_ready, n_channels = min(self._n_waiting), self._form.output_channels
        sums = {name: np.zeros((n_channels, n_ready), np.float32) for name in self._names}
        weights = dict.fromkeys(self._names, 0.0)
        for index, (_, weight) in enumerate(self._streams):
            self._n_waiting[index] -= n_ready
            for name, queue in self._waiting[index].items():
                sums[name] += np.float32(weight) * queue.take(n_ready, n_channels)
                weights[name] += weight
        stems = {name: total / np.float32(weights[name]) for name, total in sums.items()}
        return Stems(stems, self._form.output_rate)
