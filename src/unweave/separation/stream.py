"""Push blocks of a mixture, get stems: constant memory, whatever the length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from unweave.audio.channels import to_mono
from unweave.audio.resample import Resampler, resampled_length
from unweave.dsp.segments import SegmentJoiner
from unweave.engines.base import SegmentSeparator
from unweave.errors import OptionError
from unweave.separation.feeder import SegmentFeeder
from unweave.separation.residual import Residual, ResidualKeeper
from unweave.types import Stems, Waveform


class SeparationStream:
    """One mixture on its way through a model.

    `push` waits only while all threads are busy. What comes out does not depend on how the mixture was cut into
    blocks, to the last bit. The samples that `push` and `flush` return, put together, have the length of what was
    pushed (at the output's rate).
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
        output_channels: int,
        residual: Residual,
    ) -> None:
        indices = tuple(stems.values())
        self._names = tuple(stems)
        self._rates = (sample_rate, output_rate)
        self._n_channels = n_channels
        self._n_out_channels = output_channels
        self._feeder = SegmentFeeder(
            lambda segment, is_first: separator.separate(segment, indices, is_first=is_first),
            separator.segmentation,
            executor,
            max_in_flight,
            sample_rate=sample_rate,
            model_rate=model_rate,
        )
        self._joiner = SegmentJoiner(separator.segmentation)
        self._from_model = Resampler(model_rate, output_rate, len(stems) * self._n_out_channels)
        self._keeper = ResidualKeeper(residual, output_channels, sample_rate, output_rate)
        self._n_pushed = 0
        self._n_joined = 0
        self._n_returned = 0
        self._is_closed = False

    def push(self, block: Waveform) -> Stems:
        """Take samples (channels, samples); returns the stems that are ready, perhaps of no samples yet."""
        if self._is_closed:
            raise OptionError("the stream was flushed or closed before")
        if block.ndim != 2 or len(block) != self._n_channels:
            raise OptionError(f"expected a block of shape ({self._n_channels}, samples), got {block.shape}")
        self._n_pushed += block.shape[1]
        self._keeper.push(block)
        return self._stems(self._from_model.push(self._join(self._feeder.push(block))))

    def flush(self) -> Stems:
        """The end of the mixture: returns all the rest. The stream takes no more blocks after it."""
        return concatenated(self.drain())

    def drain(self) -> Iterator[Stems]:
        """As `flush`, but a segment at a time: at least one part, and never several segments in memory."""
        if self._is_closed:
            raise OptionError("the stream was flushed or closed before")
        self._is_closed = True
        for segment in self._feeder.flush():
            joined = self._join([segment])
            # The last segment reaches past the end of the mixture.
            surplus = max(0, self._n_joined - self._feeder.n_samples)
            yield self._stems(self._from_model.push(joined[:, : joined.shape[1] - surplus]))
        self._keeper.flush()
        rows = self._from_model.flush(len(self._names) * self._n_out_channels)
        # Two resamplings may leave a sample too many or too few at the very end.
        n_left = resampled_length(self._n_pushed, *self._rates) - self._n_returned
        yield self._stems(np.pad(rows, [(0, 0), (0, max(0, n_left - rows.shape[1]))]))

    def close(self) -> None:
        """Give up: what has not begun is not computed."""
        self._is_closed = True
        self._feeder.close()

    def _join(self, segments: Iterable[npt.NDArray[np.float32]]) -> Waveform:
        """Separated segments → samples at the model's rate, with stems and channels as rows."""
        n_rows = len(self._names) * self._n_out_channels
        stretches = []
        for segment in segments:
            joined = self._joiner.push(segment)
            if self._n_out_channels == 1:
                joined = to_mono(joined)
            stretches.append(joined.reshape(n_rows, -1))
        if len(stretches) == 1:  # the usual case, without a copy
            rows = stretches[0]
        else:
            rows = np.concatenate([np.zeros((n_rows, 0), np.float32), *stretches], axis=1)
        self._n_joined += rows.shape[1]
        return rows

    def _stems(self, rows: Waveform) -> Stems:
        """Rows as stems, not beyond the mixture's end, with the residual where it belongs."""
        rows = rows[:, : resampled_length(self._n_pushed, *self._rates) - self._n_returned]
        self._n_returned += rows.shape[1]
        waveforms = rows.reshape(len(self._names), self._n_out_channels, -1)
        return Stems(self._keeper.complete(dict(zip(self._names, waveforms, strict=True))), self._rates[1])


def concatenated(parts: Iterable[Stems]) -> Stems:
    """Parts of stems that follow each other, as one; there must be at least one part."""
    gathered = list(parts)
    waveforms = {name: np.concatenate([part[name] for part in gathered], axis=1) for name in gathered[0]}
    return Stems(waveforms, gathered[0].sample_rate)
