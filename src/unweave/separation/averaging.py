"""Several streams as one: of different models, or of one model over shifted segments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from unweave.dsp.segments import SampleQueue
from unweave.engines.base import SegmentSeparator
from unweave.separation.residual import ResidualKeeper
from unweave.separation.stream import SeparationStream, concatenated
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


def shifted(separator: SegmentSeparator, n_shifts: int) -> list[SegmentSeparator]:
    """``separator`` over ``n_shifts`` evenly shifted segmentations."""
    hop = separator.segmentation.hop
    return [ShiftedSeparator(separator, hop * k // n_shifts) for k in range(n_shifts)]


class AveragedStream:
    """Streams over one mixture side by side, whose stems of the same name are averaged.

    Samples leave when every stream has them. ``streams`` come with the weight of each; ``names`` are the stems.
    """

    def __init__(
        self,
        streams: Sequence[tuple[SeparationStream | AveragedStream, float]],
        names: list[str],
        keeper: ResidualKeeper,
        sample_rate: int,
        n_channels: int,
    ) -> None:
        self._streams = streams
        self._names = names
        self._keeper = keeper
        self._sample_rate = sample_rate
        self._n_channels = n_channels
        self._waiting: list[dict[str, SampleQueue]] = [{} for _ in streams]
        self._n_waiting = [0 for _ in streams]

    def push(self, block: Waveform) -> Stems:
        """See `SeparationStream.push`."""
        for index, (stream, _) in enumerate(self._streams):
            self._take(index, stream.push(block))
        self._keeper.push(block)
        return self._ready()

    def flush(self) -> Stems:
        """See `SeparationStream.flush`."""
        return concatenated(self.drain())

    def drain(self) -> Iterator[Stems]:
        """See `SeparationStream.drain`."""
        self._keeper.flush()
        for index, (stream, _) in enumerate(self._streams):
            for part in stream.drain():
                self._take(index, part)
                yield self._ready()

    def close(self) -> None:
        """See `SeparationStream.close`."""
        for stream, _ in self._streams:
            stream.close()

    def _take(self, index: int, part: Stems) -> None:
        for name, waveform in part.items():
            self._waiting[index].setdefault(name, SampleQueue()).push(waveform)
        self._n_waiting[index] += part.n_samples

    def _ready(self) -> Stems:
        """The samples that all models have, averaged."""
        n_ready = min(self._n_waiting)
        sums = {name: np.zeros((self._n_channels, n_ready), np.float32) for name in self._names}
        weights = dict.fromkeys(self._names, 0.0)
        for index, (_, weight) in enumerate(self._streams):
            self._n_waiting[index] -= n_ready
            for name, queue in self._waiting[index].items():
                sums[name] += np.float32(weight) * queue.take(n_ready, self._n_channels)
                weights[name] += weight
        stems = {name: total / np.float32(weights[name] or 1.0) for name, total in sums.items()}
        return Stems(self._keeper.complete(stems), self._sample_rate)
