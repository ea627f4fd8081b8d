"""What songs can be separated with."""

from __future__ import annotations

from statistics import median

from fastapi import FastAPI
from pydantic import BaseModel

from unweave.families.quality import PRESETS
from unweave.models.listing import ListedModel, list_models
from unweave.studio.purposes import PURPOSES
from unweave.studio.store import JobStore


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
    """The official models, the published ones that are here or recommended, and those that the user added.

    A broken one is named with its problem.
    """
    return [_card(model) for model in list_models() if _is_offered(model)]


def _is_offered(model: ListedModel) -> bool:
    """Whether people are to choose among models with this one: it can be had, and is no speciality."""
    is_official = model.entry is not None and not model.entry.downloads
    return is_official or model.is_here or model.is_added or (model.is_short and model.is_fetchable)


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


def _card(model: ListedModel) -> ModelCard:
    spec = model.spec
    if spec is None:
        return ModelCard(name=model.name, problem=model.problem)
    return ModelCard(
        name=spec.name,
        stems=spec.stems,
        licence=spec.licence,
        notes=spec.notes,
        summary=spec.summary,
        here=model.is_here,
        download_bytes=model.missing_bytes,
        needs_consent=getattr(spec, "needs_consent", False),
    )
