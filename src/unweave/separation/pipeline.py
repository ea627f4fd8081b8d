"""Ways to run models over a mixture: one model, shifted segments, the Wiener filter, several models at once.

They all have the same small interface, `Pipeline`, and can be combined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from unweave.dsp.wiener import SpatialModel, SpatialStatistics
from unweave.engines.base import SegmentSeparator
from unweave.errors import OptionError
from unweave.families.base import Loaded, MaskingModel
from unweave.families.masking import WienerSeparator
from unweave.separation.averaging import ShiftedSeparator
from unweave.separation.choice import Choice
from unweave.separation.combined import CombinedStream
from unweave.separation.feeder import SegmentFeeder
from unweave.separation.residual import Completion
from unweave.separation.rules import Rules
from unweave.separation.stem_names import all_but_vocals, common_names, renamed
from unweave.separation.stream import SegmentStream, SeparationStream, Stream, StreamFormat
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

    def sums_to_mixture(self, form: StreamFormat) -> bool:
        """Whether all stems together add up to the mixture in a stream of this form, except for rounding."""
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

    def sums_to_mixture(self, form: StreamFormat) -> bool:
        """See `Pipeline`: not what is lost on the way to the model's sample rate and back."""
        is_kept = self._loaded.spec.sample_rate in (form.sample_rate, form.output_rate)
        return self._loaded.sums_to_mixture and self._separator is self._loaded.separator and is_kept

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

    def __init__(self, single: SinglePipeline, masking: MaskingModel) -> None:
        self._single, self._masking = single, masking
        self.stems, self.rest = single.stems, single.rest

    def sums_to_mixture(self, form: StreamFormat) -> bool:
        """See `Pipeline`."""
        return False

    def learn(self, passes: Passes, sample_rate: int, advance: Advance) -> SinglePipeline:
        """See `Pipeline`."""
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
        if total is None:  # of a mixture so short that nothing of it is left at the model's sample rate
            return self.in_one_pass()
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
        self.n_learning_passes = inner.n_learning_passes

    def sums_to_mixture(self, form: StreamFormat) -> bool:
        """See `Pipeline`."""
        return self._inner.sums_to_mixture(form)

    def learn(self, passes: Passes, sample_rate: int, advance: Advance) -> ShiftedPipeline:
        """See `Pipeline`."""
        return ShiftedPipeline(self._inner.learn(passes, sample_rate, advance), self._n_shifts)

    def stream(self, form: StreamFormat, stems: Sequence[str]) -> Stream:
        """See `Pipeline`."""
        inner = self._inner if isinstance(self._inner, SinglePipeline) else self._inner.in_one_pass()
        names = {stem: stem for stem in stems}
        streams = [(inner.shifted(k / self._n_shifts).stream(form, stems), names, 1.0) for k in range(self._n_shifts)]
        return CombinedStream(streams, stems, form)


class EnsemblePipeline:
    """Several models, each with a weight, whose stems of the same name become one by a rule, usually their mean.

    Its stems are those of all models, starting with those of the first, by the names that they have in common. If other
    models split what a two-stem model leaves of the song further, that is left out, because there is nothing to combine
    it with. A stem that stands for the rest of the mixture only does so as a mean: any other rule is kept as it is.
    """

    def __init__(self, members: Sequence[tuple[Pipeline, float]], rules: Rules | None = None) -> None:
        self._members = members
        self._names = common_names([member.stems for member, _ in members])
        every = tuple(dict.fromkeys(name for names in self._names for name in names.values()))
        wholes = [all_but_vocals(member.stems) for member, _ in members]
        whole = next((names[own] for names, own in zip(self._names, wholes, strict=True) if own is not None), None)
        is_split = None in wholes
        self.stems = tuple(name for name in every if not (is_split and name == whole))
        self._rules = (rules or Rules()).named(self.stems)
        rests = [names.get(member.rest or "") for (member, _), names in zip(members, self._names, strict=True)]
        rest = next((name for name in rests if name in self.stems), None)
        self.rest = rest if rest is not None and self._rules.is_mean(rest) else None
        self.n_learning_passes = sum(member.n_learning_passes for member, _ in members)

    def sums_to_mixture(self, form: StreamFormat) -> bool:
        """See `Pipeline`."""
        return False

    def learn(self, passes: Passes, sample_rate: int, advance: Advance) -> EnsemblePipeline:
        """See `Pipeline`."""
        learnt = [(member.learn(passes, sample_rate, advance), weight) for member, weight in self._members]
        return EnsemblePipeline(learnt, self._rules)

    def stream(self, form: StreamFormat, stems: Sequence[str]) -> Stream:
        """See `Pipeline`."""
        streams = []
        for (member, weight), names in zip(self._members, self._names, strict=True):
            own = renamed(names, stems)
            if own:
                streams.append((member.stream(form, list(own)), own, weight))
        return CombinedStream(streams, stems, form, self._rules)


def completed_stream(
    pipeline: Pipeline,
    form: StreamFormat,
    choice: Choice,
    *,
    fills_up: bool,
    keeps_residual: bool = False,
    with_mixture: bool = False,
) -> SeparationStream:
    """A stream of the stems of ``choice``; with ``fills_up``, the stem that means the rest is what they lack."""
    wanted = choice.separated
    completed = fills_up and not keeps_residual and pipeline.rest in wanted and len(pipeline.stems) > 1
    # A part of the stems lacks nothing where all of them sum to the mixture by themselves.
    completed = completed and not (pipeline.sums_to_mixture(form) and len(wanted) < len(pipeline.stems))
    rest = pipeline.rest if completed else None
    # The rest is the mixture without the others, whatever a model would estimate for it.
    computed = tuple(stem for stem in pipeline.stems if stem != rest) if completed else wanted
    completion = Completion(choice, rest, as_stem=keeps_residual, with_mixture=with_mixture)
    return SeparationStream(pipeline.stream(form, computed), form, completion)


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
