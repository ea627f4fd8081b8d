"""What songs can be separated with."""

from __future__ import annotations

import logging
from statistics import median

from fastapi import FastAPI
from pydantic import BaseModel

from unweave.models.added import added_names
from unweave.models.catalog import find_weights, specs
from unweave.models.hub import is_present
from unweave.models.resolve import resolve
from unweave.models.spec import ModelSpec
from unweave.separation.quality import PRESETS
from unweave.studio.refusals import reason
from unweave.studio.store import JobStore

log = logging.getLogger(__name__)


# What most people want, and the models that give it, the better first; one that must be fetched waits for its turn
# where another needs no download (figures: docs/quality.md).
PURPOSES = {
    "voice": ("spleeter:2stems",),
    "four": ("unweave:4stems-cascade", "unweave:4stems"),
    "five": ("unweave:5stems-cascade", "unweave:5stems"),
    "best": ("htdemucs",),
}


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
    purpose: str = ""  # a key of `PURPOSES`, of one model each
    times_real_time: float | None = None  # how fast it was on this machine, where it was used before
    problem: str = ""  # why it cannot be used, in English


def add_choices(app: FastAPI, store: JobStore) -> None:
    """The routes for models and presets."""

    @app.get("/api/models")
    def models() -> list[ModelCard]:
        """What songs can be separated with."""
        speeds = _speeds(store)
        cards = [card.model_copy(update={"times_real_time": speeds.get(card.name)}) for card in all_models()]
        return _with_purposes(cards)

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


def _with_purposes(cards: list[ModelCard]) -> list[ModelCard]:
    """The models with a purpose first, in the order of the purposes."""
    by_name = {card.name: card for card in cards}
    wanted = {}
    for purpose, names in PURPOSES.items():
        known = [name for name in names if name in by_name]
        if known:
            name = next((each for each in known if by_name[each].here), known[-1])
            wanted[name] = by_name[name].model_copy(update={"purpose": purpose})
    return [*wanted.values(), *(card for card in cards if card.name not in wanted)]


def _speeds(store: JobStore) -> dict[str, float]:
    """By model: seconds of music per second of work, the median of the songs that are here."""
    speeds: dict[str, list[float]] = {}
    for job in store.all():
        if job.state == "done" and job.run_seconds > 0:
            speeds.setdefault(job.model, []).append(job.seconds / job.run_seconds)
    return {model: median(values) for model, values in speeds.items()}


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
