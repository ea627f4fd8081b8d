"""Ways to run models over a mixture: one model, shifted segments, the Wiener filter, several models at once.

They all have the same small interface, `Pipeline`, and can be combined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from unweave.dsp.wiener import SpatialModel, SpatialStatistics
from unweave.engines.base import SegmentSeparator
from unweave.errors import AudioReadError, OptionError
from unweave.families.base import Loaded, MaskingModel
from unweave.families.masking import WienerSeparator
from unweave.separation.averaging import AveragedStream, ShiftedSeparator
from unweave.separation.feeder import SegmentFeeder
from unweave.separation.stream import SegmentStream, Stream, StreamFormat
from unweave.separation.workers import Workers
from unweave.types import Waveform

# Gives a pass over the whole mixture, as often as it is called.
Passes = Callable[[], Iterable[Waveform]]
# Told how many seconds of audio a pass has done.
Advance = Callable[[float], None]


class Pipeline(Protocol):
    """A way from a mixture to stems."""

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of all stems that it can separate."""
        ...

    @property
    def rest(self) -> str | None:
        """The stem that stands for everything that the others are not, or None."""
        ...

    @property
    def sums_to_mixture(self) -> bool:
        """Whether all stems together add up to the mixture, except for rounding."""
        ...

    @property
    def n_learning_passes(self) -> int:
        """The number of passes that `learn` makes over the mixture."""
        ...

    def learn(self, passes: Passes, sample_rate: int, advance: Advance) -> Pipeline:
        """This pipeline after it has learnt from passes over a whole mixture; itself if there is nothing to learn."""
        ...

    def stream(self, form: StreamFormat, stems: Sequence[str]) -> Stream:
        """A stream that separates ``stems``. A pipeline that has not learnt does its best in one pass."""
        ...


class SinglePipeline:
    """One model."""

    n_learning_passes = 0

    def __init__(
        self, loaded: Loaded, workers: Workers, n_parallel: int, separator: SegmentSeparator | None = None
    ) -> None:
        self._loaded, self._workers, self._n_parallel = loaded, workers, n_parallel
        self._separator = separator or loaded.separator

    @property
    def stems(self) -> tuple[str, ...]:
        """See `Pipeline`."""
        return self._loaded.spec.stems

    @property
    def rest(self) -> str | None:
        """See `Pipeline`."""
        return self._loaded.spec.rest_stem

    @property
    def sums_to_mixture(self) -> bool:
        """See `Pipeline`."""
        return self._loaded.sums_to_mixture and self._separator is self._loaded.separator

    def with_separator(self, separator: SegmentSeparator) -> SinglePipeline:
        """The same model with another way to separate its segments."""
        return SinglePipeline(self._loaded, self._workers, self._n_parallel, separator)

    def shifted(self, share: float) -> SinglePipeline:
        """The same with segments that start earlier by ``share`` of a hop."""
        return self.with_separator(ShiftedSeparator(self._separator, int(self._separator.segmentation.hop * share)))

    def learn(self, passes: Passes, sample_rate: int, advance: Advance) -> SinglePipeline:
        """See `Pipeline`."""
        return self

    def feeder(
        self, work: Callable[[Waveform, bool], SpatialStatistics], sample_rate: int
    ) -> SegmentFeeder[SpatialStatistics]:
        """A pass over a mixture that applies ``work`` to each of its segments."""
        return SegmentFeeder(
            work,
            self._separator.segmentation,
            self._workers,
            self._n_parallel + 1,
            sample_rate=sample_rate,
            model_rate=self._loaded.spec.sample_rate,
        )

    def stream(self, form: StreamFormat, stems: Sequence[str]) -> Stream:
        """See `Pipeline`."""
        spec = self._loaded.spec
        return SegmentStream(
            self._separator,
            {name: spec.stems.index(name) for name in stems},
            self._workers,
            self._n_parallel + 1,
            model_rate=spec.sample_rate,
            form=form,
        )


class WienerPipeline:
    """A masking model with the multichannel Wiener filter, using the spatial covariances of the whole track."""

    n_learning_passes = 1
    sums_to_mixture = False

    def __init__(self, single: SinglePipeline, masking: MaskingModel) -> None:
        self._single, self._masking = single, masking
        self.stems, self.rest = single.stems, single.rest

    def learn(self, passes: Passes, sample_rate: int, advance: Advance) -> SinglePipeline:
        """See `Pipeline`. Raises `AudioReadError` for a mixture without samples."""
        spec, network = self._masking.spec, self._masking.network
        separator = WienerSeparator(spec, network)
        feeder = self._single.feeder(lambda segment, is_first: separator.measure(segment), sample_rate)
        total: SpatialStatistics | None = None
        try:
            for statistics in _fed(feeder, passes()):
                total = statistics if total is None else total + statistics
                advance(spec.segmentation.hop / spec.sample_rate)
        finally:
            feeder.close()
        if total is None:
            raise AudioReadError("there are no samples to separate")
        return self._single.with_separator(WienerSeparator(spec, network, SpatialModel(total)))

    def in_one_pass(self) -> SinglePipeline:
        """The filter with the covariances of each segment, for a mixture that can only be read once."""
        return segment_wiener(self._single, self._masking)

    def stream(self, form: StreamFormat, stems: Sequence[str]) -> Stream:
        """See `Pipeline`."""
        return self.in_one_pass().stream(form, stems)


class ShiftedPipeline:
    """The mean of ``n_shifts`` runs over evenly shifted segments."""

    def __init__(self, inner: SinglePipeline | WienerPipeline, n_shifts: int) -> None:
        self._inner, self._n_shifts = inner, n_shifts
        self.stems, self.rest = inner.stems, inner.rest
        self.n_learning_passes, self.sums_to_mixture = inner.n_learning_passes, inner.sums_to_mixture

    def learn(self, passes: Passes, sample_rate: int, advance: Advance) -> ShiftedPipeline:
        """See `Pipeline`."""
        return ShiftedPipeline(self._inner.learn(passes, sample_rate, advance), self._n_shifts)

    def stream(self, form: StreamFormat, stems: Sequence[str]) -> Stream:
        """See `Pipeline`."""
        inner = self._inner if isinstance(self._inner, SinglePipeline) else self._inner.in_one_pass()
        streams = [(inner.shifted(k / self._n_shifts).stream(form, stems), 1.0) for k in range(self._n_shifts)]
        return AveragedStream(streams, stems, form)


class EnsemblePipeline:
    """Several models, each with a weight, whose stems of the same name are averaged.

    Its stems are those of all models, starting with those of the first. If other models split the accompaniment of a
    two-stem model further, that accompaniment is left out, because there is nothing to average it with.
    """

    sums_to_mixture = False

    def __init__(self, members: Sequence[tuple[Pipeline, float]]) -> None:
        self._members = members
        names = tuple(dict.fromkeys(name for member, _ in members for name in member.stems))
        is_split = any("accompaniment" not in member.stems for member, _ in members)
        self.stems = tuple(name for name in names if not (is_split and name == "accompaniment"))
        self.rest = next((member.rest for member, _ in members if member.rest in self.stems), None)
        self.n_learning_passes = sum(member.n_learning_passes for member, _ in members)

    def learn(self, passes: Passes, sample_rate: int, advance: Advance) -> EnsemblePipeline:
        """See `Pipeline`."""
        return EnsemblePipeline([(member.learn(passes, sample_rate, advance), w) for member, w in self._members])

    def stream(self, form: StreamFormat, stems: Sequence[str]) -> Stream:
        """See `Pipeline`."""
        streams = []
        for member, weight in self._members:
            own = [name for name in stems if name in member.stems]
            if own:
                streams.append((member.stream(form, own), weight))
        return AveragedStream(streams, stems, form)


def segment_wiener(single: SinglePipeline, masking: MaskingModel) -> SinglePipeline:
    """The multichannel Wiener filter with the spatial covariances of each segment, in one pass."""
    return single.with_separator(WienerSeparator(masking.spec, masking.network))


def masking_of(loaded: Loaded) -> MaskingModel:
    """The parts of a model that the Wiener filter needs. Raises `OptionError` for a model without masks."""
    if loaded.masking is None:
        raise OptionError(f"{loaded.spec.name} estimates waveforms: the Wiener filter needs a masking model")
    return loaded.masking


def _fed(feeder: SegmentFeeder[SpatialStatistics], blocks: Iterable[Waveform]) -> Iterator[SpatialStatistics]:
    for block in blocks:
        yield from feeder.push(block)
    yield from feeder.flush()
