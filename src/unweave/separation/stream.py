"""Push blocks of a mixture, get stems: constant memory, whatever the length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from unweave.audio.channels import to_mono
from unweave.audio.resample import Resampler, resampled_length
from unweave.dsp.segments import SegmentJoiner
from unweave.engines.base import SegmentSeparator
from unweave.errors import OptionError
from unweave.separation.checks import checked_block
from unweave.separation.feeder import SegmentFeeder
from unweave.separation.residual import Completion, MixtureKeeper
from unweave.separation.workers import Workers
from unweave.types import Stems, Waveform


@dataclass(frozen=True)
class StreamFormat:
    """What goes into a stream and what comes out of it."""

    sample_rate: int  # Hz, of the mixture
    n_channels: int  # of the mixture
    output_rate: int  # Hz, of the stems
    output_channels: int  # 1 or 2


class Stream(Protocol):
    """Takes blocks of a mixture and returns stems.

    Blocks are finite float32 arrays of the right shape, and belong to the stream once they are pushed.
    """

    def push(self, block: Waveform) -> Stems:
        """Take samples (channels, samples), and return the stems that are ready; they may still be empty."""
        ...

    def drain(self) -> Iterator[Stems]:
        """End the mixture and yield the rest of the stems: at least one part, and one segment in memory at a time."""
        ...

    def close(self) -> None:
        """Give up. Segments that have not been started are not computed."""
        ...


class SegmentStream:
    """A `Stream` that takes one mixture through one model.

    The output does not depend on how the mixture was cut into blocks, to the last bit, and is as long as what was
    pushed (at the output's sample rate).
    """

    def __init__(
        self,
        separator: SegmentSeparator,
        stems: Mapping[str, int],
        workers: Workers,
        max_in_flight: int,
        *,
        model_rate: int,
        form: StreamFormat,
    ) -> None:
        indices = tuple(stems.values())
        self._names = tuple(stems)
        self._form = form
        self._feeder = SegmentFeeder(
            lambda segment, is_first: separator.separate(segment, indices, is_first=is_first),
            separator.segmentation,
            workers,
            max_in_flight,
            sample_rate=form.sample_rate,
            model_rate=model_rate,
        )
        self._joiner = SegmentJoiner(separator.segmentation)
        self._from_model = Resampler(model_rate, form.output_rate, len(stems) * form.output_channels)
        self._n_pushed = 0
        self._n_joined = 0
        self._n_returned = 0

    def push(self, block: Waveform) -> Stems:
        """See `Stream`. Only waits while all threads are busy."""
        self._n_pushed += block.shape[1]
        return self._stems(self._from_model.push(self._join(self._feeder.push(block))))

    def drain(self) -> Iterator[Stems]:
        """See `Stream`."""
        for segment in self._feeder.flush():
            joined = self._join([segment])
            # The last segment reaches past the end of the mixture.
            surplus = max(0, self._n_joined - self._feeder.n_samples)
            yield self._stems(self._from_model.push(joined[:, : joined.shape[1] - surplus]))
        rows = self._from_model.flush(len(self._names) * self._form.output_channels)
        # Two resamplings may leave a sample too many or too few at the very end.
        n_left = self._n_expected - self._n_returned
        yield self._stems(np.pad(rows, [(0, 0), (0, max(0, n_left - rows.shape[1]))]))

    def close(self) -> None:
        """See `Stream`."""
        self._feeder.close()

    @property
    def _n_expected(self) -> int:
        return resampled_length(self._n_pushed, self._form.sample_rate, self._form.output_rate)

    def _join(self, segments: Iterable[npt.NDArray[np.float32]]) -> Waveform:
        """Separated segments → samples at the model's rate, with stems and channels as rows."""
        n_rows = len(self._names) * self._form.output_channels
        stretches = []
        for segment in segments:
            joined = self._joiner.push(segment)
            if self._form.output_channels == 1:
                joined = to_mono(joined)
            stretches.append(joined.reshape(n_rows, -1))
        if len(stretches) == 1:  # the usual case, without a copy
            rows = stretches[0]
        else:
            rows = np.concatenate([np.zeros((n_rows, 0), np.float32), *stretches], axis=1)
        self._n_joined += rows.shape[1]
        return rows

    def _stems(self, rows: Waveform) -> Stems:
        """Rows as stems, not beyond the mixture's end."""
        rows = rows[:, : self._n_expected - self._n_returned]
        self._n_returned += rows.shape[1]
        waveforms = rows.reshape(len(self._names), self._form.output_channels, -1)
        return Stems(dict(zip(self._names, waveforms, strict=True)), self._form.output_rate)


class SeparationStream:
    """Separates one mixture that arrives in blocks: `push` them, `flush` at the end, or `close` to give up.

    Taken together, the samples that `push` and `flush` return are as long as what was pushed (at the output's sample
    rate). They do not depend on how the mixture was cut into blocks, to the last bit.
    """

    def __init__(self, stream: Stream, form: StreamFormat, completion: Completion) -> None:
        self._stream = stream
        self._n_channels = form.n_channels
        self._keeper = MixtureKeeper(completion, form.output_channels, form.sample_rate, form.output_rate)
        self._is_closed = False

    def push(self, block: Any) -> Stems:
        """Take the next samples (channels, samples), and return the stems that are ready; they may still be empty.

        ``block`` is an array of any float type, from −1 to 1. It is copied, so you may use it again immediately, and
        the stems that are returned are yours. NaN and infinite samples are replaced by silence. `push` only waits
        while all threads are busy. Raises `OptionError` for other shapes or types, and after `flush`, `close`, or a
        failure, be it an interrupt, that lost a part of the mixture.
        """
        self._require_open()
        return self.feed(checked_block(block, self._n_channels))

    def feed(self, block: Waveform) -> Stems:
        """Like `push`, but without checks or a copy: for finite float32 blocks that nobody will change."""
        try:
            self._keeper.push(block)
            return self._keeper.complete(self._stream.push(block))
        except BaseException:  # an interrupt, too: what came after it would be out of place
            self.close()
            raise

    def flush(self) -> Stems:
        """End the mixture and return the rest of the stems. The stream takes no more blocks after this."""
        return concatenated(self.drain())

    def drain(self) -> Iterator[Stems]:
        """Like `flush`, but one segment at a time, so that never more than one segment is in memory."""
        self._require_open()
        self._is_closed = True
        self._keeper.flush()
        for part in self._stream.drain():
            yield self._keeper.complete(part)

    def close(self) -> None:
        """Give up. Segments that have not been started are not computed."""
        self._is_closed = True
        self._stream.close()

    def _require_open(self) -> None:
        if self._is_closed:
            raise OptionError("this stream has been flushed or closed")


def concatenated(parts: Iterable[Stems]) -> Stems:
    """Join parts of stems that follow one another; there must be at least one part."""
    gathered = list(parts)
    waveforms = {name: np.concatenate([part[name] for part in gathered], axis=1) for name in gathered[0]}
    return Stems(waveforms, gathered[0].sample_rate)
