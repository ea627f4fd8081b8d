"""One model after the other: the second separates a stem of the first further."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from unweave.separation.choice import Choice
from unweave.separation.pipeline import Advance, Passes, Pipeline, completed_stream
from unweave.separation.residual import SignalKeeper
from unweave.separation.stem_names import renamed, unique_names
from unweave.separation.stream import SeparationStream, Stream, StreamFormat
from unweave.types import Stems, Waveform


class ChainPipeline:
    """The stems of ``first``, but for the one called ``fed``, and those that ``second`` makes of that one.

    With ``fills_up``, what the stems of either lack of its own input goes to the one of them that means the rest:
    what is lost of the vocals stays with the vocals. ``names_of_last`` says what the stems of ``second`` are called
    here: their own names, unless the first has stems of these names.
    """

    rest = None

    def __init__(self, first: Pipeline, fed: str, second: Pipeline, *, fills_up: bool) -> None:
        self._first, self._fed, self._second, self._fills_up = first, fed, second, fills_up
        kept = tuple(stem for stem in first.stems if stem != fed)
        self.names_of_last = unique_names(kept, fed, second.stems)
        self.stems = (*kept, *self.names_of_last.values())
        self.n_learning_passes = first.n_learning_passes + second.n_learning_passes

    def sums_to_mixture(self, form: StreamFormat) -> bool:
        """See `Pipeline`."""
        return False

    def learn(self, passes: Passes, sample_rate: int, advance: Advance) -> ChainPipeline:
        """See `Pipeline`. The second learns from what the first makes of the mixture, separated for each pass."""
        first = self._first.learn(passes, sample_rate, advance)
        second = self._second.learn(lambda: self._fed_by(first, passes(), sample_rate), sample_rate, advance)
        return ChainPipeline(first, self._fed, second, fills_up=self._fills_up)

    def stream(self, form: StreamFormat, stems: Sequence[str]) -> Stream:
        """See `Pipeline`. What nothing is wanted of is not run."""
        kept = [stem for stem in stems if stem in self._first.stems and stem not in self.names_of_last.values()]
        wanted = renamed(self.names_of_last, stems)
        if not wanted:
            return completed_stream(self._first, form, Choice(tuple(kept)), fills_up=self._fills_up)
        between = _between(form)
        first = completed_stream(self._first, between, Choice((*kept, self._fed)), fills_up=self._fills_up)
        to_end = StreamFormat(between.output_rate, between.output_channels, form.output_rate, form.output_channels)
        second = completed_stream(self._second, to_end, Choice(tuple(wanted)), fills_up=self._fills_up)
        return _ChainStream(first, self._fed, second, wanted, kept, between, form)

    def _fed_by(self, first: Pipeline, blocks: Iterable[Waveform], sample_rate: int) -> Iterator[Waveform]:
        """What the second gets, block by block."""
        stream = None
        with ExitStack() as stack:
            for block in blocks:
                if stream is None:
                    form = _between(StreamFormat(sample_rate, len(block), sample_rate, 2))
                    stream = completed_stream(first, form, Choice((self._fed,)), fills_up=self._fills_up)
                    stack.callback(stream.close)
                yield stream.feed(block)[self._fed]
            for part in () if stream is None else stream.drain():
                yield part[self._fed]


def _between(form: StreamFormat) -> StreamFormat:
    """What goes from one model to the next: at the rate of the mixture, with its channels or two of them."""
    return StreamFormat(form.sample_rate, form.n_channels, form.sample_rate, min(form.n_channels, 2))


class _ChainStream:
    """A `Stream`. Stems of the first wait for those of the second."""

    def __init__(
        self,
        first: SeparationStream,
        fed: str,
        second: SeparationStream,
        names: Mapping[str, str],
        kept: Sequence[str],
        between: StreamFormat,
        form: StreamFormat,
    ) -> None:
        self._first, self._fed, self._second, self._names = first, fed, second, names
        self._kept = {stem: SignalKeeper(form.output_channels, between.output_rate, form.output_rate) for stem in kept}

    def push(self, block: Waveform) -> Stems:
        """See `Stream`."""
        return self._given(self._fed_on(self._first.feed(block)))

    def drain(self) -> Iterator[Stems]:
        """See `Stream`."""
        for part in self._first.drain():
            yield self._given(self._fed_on(part))
        for keeper in self._kept.values():
            keeper.flush()
        for part in self._second.drain():
            yield self._given(part)

    def close(self) -> None:
        """See `Stream`."""
        self._first.close()
        self._second.close()

    def _fed_on(self, part: Stems) -> Stems:
        for stem, keeper in self._kept.items():
            keeper.push(part[stem])
        return self._second.feed(part[self._fed])

    def _given(self, part: Stems) -> Stems:
        stems = {stem: keeper.take(part.n_samples) for stem, keeper in self._kept.items()}
        stems |= {self._names[own]: waveform for own, waveform in part.items()}
        return Stems(stems, part.sample_rate)
