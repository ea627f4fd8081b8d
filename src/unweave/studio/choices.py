"""What songs can be separated with."""

from __future__ import annotations

import logging

from fastapi import FastAPI
from pydantic import BaseModel

from unweave.models.added import added_names
from unweave.models.catalog import find_weights, specs
from unweave.models.hub import is_present
from unweave.models.resolve import resolve
from unweave.models.spec import ModelSpec
from unweave.separation.quality import PRESETS
from unweave.studio.refusals import reason

log = logging.getLogger(__name__)


class ModelCard(BaseModel):
    """A model as the page shows it."""

    name: str
    stems: tuple[str, ...] = ()
    licence: str = ""
    notes: str = ""
    summary: str = ""
    here: bool = False  # nothing has to be fetched first
    download_bytes: int = 0  # what has to be fetched first
    needs_consent: bool = False
    problem: str = ""  # why it cannot be used, in English


def add_choices(app: FastAPI) -> None:
    """The routes for models and presets."""

    @app.get("/api/models")
    def models() -> list[ModelCard]:
        """What songs can be separated with."""
        return all_models()

    @app.get("/api/qualities")
    def qualities() -> list[str]:
        """The presets of quality, the quickest first."""
        return list(PRESETS)


def all_models() -> list[ModelCard]:
    """The models of the catalogue and those that the user added; a broken one is named with its problem."""
    cards = [_card(spec, _missing_bytes(spec)) for spec in specs().values()]
    try:
        names = added_names()
    except OSError as error:
        log.warning("added models cannot be listed: %s", error)
        return cards
    for name in names:
        try:
            cards.append(_card(resolve(name).spec, 0))
        except Exception as error:  # somebody's files may hold anything; they must not hide the other models
            log.warning("the model %s cannot be used", name, exc_info=True)
            cards.append(ModelCard(name=name, problem=reason(error)["reason"]))
    return cards


def _card(spec: ModelSpec, missing_bytes: int) -> ModelCard:
    return ModelCard(
        name=spec.name,
        stems=spec.stems,
        licence=spec.licence,
        notes=spec.notes,
        summary=spec.summary,
        here=missing_bytes == 0,
        download_bytes=missing_bytes,
        needs_consent=getattr(spec, "needs_consent", False),
    )


def _missing_bytes(spec: ModelSpec) -> int:
    """What must be fetched before the model can run, the model before it in a cascade included."""
    before = getattr(spec, "before", "")
    names = {spec.weights, *([resolve(before).spec.weights] if before else [])}
    missing = 0
    for weights in map(find_weights, sorted(names)):
        try:
            is_here = is_present(weights)
        except OSError:  # a cache that may not be read
            is_here = False
        missing += 0 if is_here else sum(file.size for file in weights.files)
    return missing
