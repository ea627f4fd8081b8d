"""From the steps that a name asks for, and loaded models, to the pipeline that separates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from unweave.errors import OptionError
from unweave.families.base import Loaded
from unweave.separation.averaging import VariedSeparator
from unweave.separation.chain import ChainPipeline
from unweave.separation.ensemble import Step
from unweave.separation.pipeline import (
    EnsemblePipeline,
    Pipeline,
    ShiftedPipeline,
    SinglePipeline,
    WienerPipeline,
    masking_of,
    segment_wiener,
)
from unweave.separation.rules import Rules, find_rules
from unweave.separation.stem_names import find_stem, stem_made_for
from unweave.separation.workers import Workers

# None: ratio masks. Otherwise the multichannel Wiener filter, with spatial covariances of the track or of each segment.
Wiener = Literal["track", "segment"]


def model_pipeline(
    loaded: Loaded, workers: Workers, n_parallel: int, *, n_shifts: int, wiener: Wiener | None, tta: bool
) -> Pipeline:
    """One model with its options, put together. Raises `OptionError` for options that it cannot have."""
    single = SinglePipeline(loaded, workers, n_parallel)
    if tta:
        if wiener is not None:
            raise OptionError("averaging over swapped channels and the Wiener filter exclude each other")
        single = single.with_separator(VariedSeparator(loaded.separator))
    filtered: SinglePipeline | WienerPipeline = single
    if wiener == "track":
        filtered = WienerPipeline(single, masking_of(loaded))
    elif wiener == "segment":
        filtered = segment_wiener(single, masking_of(loaded))
    return filtered if n_shifts == 1 else ShiftedPipeline(filtered, n_shifts)


def check_rules(steps: Sequence[Step], rules: Rules | None) -> None:
    """Raise `OptionError` for a rule where there is nothing to combine, and for weights that no rule looks at."""
    ensembles = [step for step in steps if len(step.members) > 1]
    if rules is not None and not ensembles:
        raise OptionError("a rule is for an ensemble: name several models, such as -p a+b")
    for step in ensembles:
        _rules_of(step, rules).check_number(len(step.members))
        weights = {member.weight for member in step.members}
        if len(weights) > 1 and not _rules_of(step, rules).has_mean:
            raise OptionError("weights only count for avg_wave and avg_fft: leave them out, or choose one of these")


def assemble(steps: Sequence[Step], singles: Sequence[Pipeline], rules: Rules | None, *, fills_up: bool) -> Pipeline:
    """The pipeline of all ``steps``, whose models are ``singles``, in order.

    ``rules`` are those of the caller and come before those of named ensembles; with ``fills_up``, each step gives what
    its stems lack of its input to the one that means the rest. Raises `OptionError` for stems that there are not, and
    where nothing says which stem goes on.
    """
    left = iter(singles)
    pipelines = [_step_pipeline(step, left, rules) for step in steps]
    if rules is not None:
        rules.check([each.stems for each in pipelines if isinstance(each, EnsemblePipeline)])
    whole = pipelines[0]
    names = {stem: stem for stem in whole.stems}  # of the last step: its own → in the whole
    for before, step, pipeline in zip(steps, steps[1:], pipelines[1:], strict=False):
        fed = names[_handed_on(before, list(names), step, pipeline)]
        whole = ChainPipeline(whole, fed, pipeline, fills_up=fills_up)
        names = whole.names_of_last
    return whole


def _step_pipeline(step: Step, singles: Iterator[Pipeline], rules: Rules | None) -> Pipeline:
    members = [(next(singles), member.weight) for member in step.members]
    return members[0][0] if len(members) == 1 else EnsemblePipeline(members, _rules_of(step, rules))


def _rules_of(step: Step, rules: Rules | None) -> Rules:
    return rules if rules is not None else find_rules(step.rule)


def _handed_on(before: Step, stems: Sequence[str], after: Step, pipeline: Pipeline) -> str:
    """Which stem of the step ``before`` the step ``after`` gets."""
    giver, taker = (" + ".join(member.model for member in step.members) for step in (before, after))
    if before.hands_on:
        found = find_stem(before.hands_on, stems)
        if found is None:
            raise OptionError(f"expected a stem of {giver} ({', '.join(stems)}), got {before.hands_on}")
        return found
    found = stem_made_for(taker, pipeline.stems, stems)
    if found is None:
        raise OptionError(
            f"which stem of {giver} should {taker} separate further? Say so, for instance "
            f"'{giver}[{stems[0]}] > {taker}'; there are {', '.join(stems)}"
        )
    return found
