"""The list of models, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unweave.models.listing import ListedModel


LONGEST_STEM = len("accompaniment")
WIDE = 100  # columns from which on no licence need be folded


def print_table(models: Sequence[ListedModel], stem: str) -> None:
    """A row for each model; ``stem`` is the one whose score is shown."""
    import rich.box
    import rich.table
    from rich.console import Console
    from rich.text import Text

    console = Console()
    is_wide = console.width >= WIDE
    # In 80 columns there is room for one space between two of them, and none at the edges.
    padding = (0, 1 if is_wide else 0, 0, 0)
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=padding, pad_edge=False, show_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("stems", min_width=LONGEST_STEM)
    table.add_column("MB", no_wrap=True, justify="right")
    table.add_column("licence", overflow="fold", max_width=None if is_wide else len("research"))
    table.add_column("SDR in dB", min_width=len("vocals 10.98 [1]" if is_wide else "instrumental"))
    test_sets: list[str] = []
    for model in models:
        is_tried = model.entry is not None and model.entry.is_verified
        row = (
            f"{model.name} *" if is_tried else model.name,
            _here(model),
            ", ".join(model.stems),
            f"{model.n_bytes / 1e6:.0f}" if model.n_bytes else "",
            model.licence,
            _score(model, stem, test_sets),
        )
        table.add_row(*map(Text, row))  # nothing in a name is markup
    console.print(table)
    for number, test_set in enumerate(test_sets, 1):
        console.print(Text(f"[{number}] {test_set}"))


def print_json(models: Sequence[ListedModel]) -> None:
    """An array with an object for each model; docs/howto/models.md says what is in it. It is ASCII."""
    print(json.dumps([_fields(model) for model in models], indent=1))


def _here(model: ListedModel) -> str:
    if model.problem:
        return "broken"
    return "yes" if model.is_here else "no" if model.is_fetchable else "by hand"


def _score(model: ListedModel, stem: str, test_sets: list[str]) -> str:
    """With the number of its test set in ``test_sets``, to which a new one is added."""
    score = model.score(stem)
    if not score:
        return ""
    name, value, test_set = score
    if test_set not in test_sets:
        test_sets.append(test_set)
    return f"{name} {value:.2f} [{test_sets.index(test_set) + 1}]"


def _fields(model: ListedModel) -> dict[str, object]:
    from unweave.separation.listing import ListedEnsemble

    entry = model.entry
    ensemble = model if isinstance(model, ListedEnsemble) else None
    licence = entry.licence if entry else None
    return {
        "name": model.name,
        "aliases": list(entry.aliases) if entry else [],
        "family": "ensemble" if ensemble else entry.family if entry else getattr(model.spec, "family", None),
        "author": entry.author or None if entry else None,
        "summary": entry.summary if entry else getattr(ensemble or model.spec, "summary", None),
        "models": [member.name for member in ensemble.members] if ensemble else [],
        "rule": ensemble.rule if ensemble else None,
        "stems": list(model.stems),
        "size_bytes": model.n_bytes or None,
        "licence": model.licence,
        "licence_stated_in": (licence.stated_in or None) if licence else None,
        "licence_stated_on": (licence.stated_on or None) if licence else None,
        "licence_notes": (licence.notes or None) if licence else None,
        "needs_consent": any(each.needs_consent for each in (ensemble.members if ensemble else (model,))),
        "scores": [
            {
                "measure": "SDR",
                "unit": "dB",
                "test_set": score.test_set,
                "stems": dict(score.sdr),
                "source": score.source,
            }
            for score in (entry.scores if entry else ())
        ],
        "here": model.is_here,
        "fetchable": model.is_fetchable,
        "download_bytes": model.missing_bytes or None,
        "verified": bool(entry and entry.is_verified),
        "recommended": bool(entry and entry.is_recommended),
        "problem": model.problem or None,
    }
