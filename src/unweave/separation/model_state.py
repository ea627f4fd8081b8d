"""Which weights a model has now, so that a journal notices when a model of the same name was trained again."""

from __future__ import annotations

from pathlib import Path

from unweave.errors import ModelError
from unweave.models.catalogue.official import specs
from unweave.models.resolve import resolve
from unweave.separation.ensemble import parse_steps


def model_state(model: str) -> tuple[object, ...]:
    """Names and, for models that are not official, the sizes and times of their files; for each model that is run.

    Official weights are pinned by their checksums: their name says everything. A single model, or an ensemble without a
    rule of its own, is just its members. Raises `OptionError` for a name that cannot be read.
    """
    steps = parse_steps(model)
    members = tuple((member.weight, *_state(member.model)) for step in steps for member in step.members)
    if len(steps) == 1 and steps[0].rule is None:
        return members
    return (*((len(step.members), step.rule, step.hands_on) for step in steps), *members)


def _state(model: str) -> tuple[object, ...]:
    try:
        resolved = resolve(model).at_hand()  # 4stems may be either of two models, depending on what is here
        name = resolved.spec.name
        if name in specs() and not Path(model).suffix:
            return (name,)
        location = resolved.locate(True, lambda done, total, label: None)
        files = sorted(location.iterdir()) if location.is_dir() else [location]
        stats = [(file.name, file.stat()) for file in files if file.is_file()]
    except (ModelError, OSError):
        return (model,)
    return (name, repr(resolved.spec), *((file, status.st_size, status.st_mtime_ns) for file, status in stats))
