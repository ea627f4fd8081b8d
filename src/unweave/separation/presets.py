"""Ensembles by name: which models, and by which rule; they are data, in ``presets.json``.

Their models are named as other programs name the files. A file counts as here if its name means something to
`unweave.models.resolve`; a model that was added under its name without the ending comes first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from unweave.errors import ModelError, UnknownModelError
from unweave.models.resolve import resolve

FILE = Path(__file__).with_name("presets.json")


@dataclass(frozen=True)
class Preset:
    """A named ensemble."""

    name: str
    models: tuple[str, ...]  # names of files
    rule: str
    summary: str

    def found_models(self) -> list[str]:
        """The names under which its models are known here. Raises `UnknownModelError` with those that are not."""
        found = {model: _known_as(model) for model in self.models}
        missing = [model for model, name in found.items() if name is None]
        if missing:
            raise UnknownModelError(
                f"the ensemble {self.name} needs {_enumerated(self.models)}; not here: {_enumerated(missing)}. "
                f"With the file and its configuration: unweave models add {Path(missing[0]).stem} FILE"
            )
        return [name for name in found.values() if name is not None]


@lru_cache(maxsize=1)
def presets() -> dict[str, Preset]:
    """All named ensembles, by name."""
    described = json.loads(FILE.read_text(encoding="utf-8"))["ensembles"]
    return {
        name: Preset(name, tuple(fields["models"]), fields["rule"], fields["summary"])
        for name, fields in described.items()
    }


def find_preset(name: str) -> Preset | None:
    """The ensemble called ``name``; None where there is none, or where a model is called so."""
    preset = presets().get(name)
    return None if preset is None or _is_model(name) else preset


def _known_as(model: str) -> str | None:
    return next((name for name in (Path(model).stem, model) if _is_model(name)), None)


def _is_model(name: str) -> bool:
    try:
        resolve(name)
    except ModelError:
        return False
    return True


def _enumerated(names: tuple[str, ...] | list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
