"""The models that unweave knows how to run before their weights are here: descriptions and weights."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

from unweave.errors import UnknownModelError
from unweave.models.catalogue.entry import Entry
from unweave.models.catalogue.read import OFFICIAL, entries_in, read_file
from unweave.models.spec import MaskModelSpec, ModelSpec, Source, WaveformModelSpec, Weights, WeightsFile

DEFAULT_MODEL = "spleeter:2stems"
# What users call models: the best that there is for so many stems; `CASCADES` are better and need a download.
SHORT_NAMES = {"2stems": "spleeter:2stems", "4stems": "unweave:4stems", "5stems": "unweave:5stems"}
CASCADES = {"4stems": "unweave:4stems-cascade", "5stems": "unweave:5stems-cascade"}

KINDS: dict[str, type[MaskModelSpec] | type[WaveformModelSpec]] = {
    "spleeter": MaskModelSpec,
    "bands": MaskModelSpec,
    "htdemucs": WaveformModelSpec,
}
# Spleeter's own environment variables point its downloads elsewhere. GitHub sets one of them wherever it runs anything,
# to a repository that has no weights: the usual place comes behind the chosen one.
PLACES = {
    "GITHUB_HOST": "https://github.com",
    "GITHUB_REPOSITORY": "deezer/spleeter",
    "GITHUB_RELEASE": "v1.4.0",
}


@functools.cache
def specs() -> Mapping[str, ModelSpec]:
    """Every official model by name."""
    return {entry.name: _spec(entry) for entry in entries_in(OFFICIAL)}


def _spec(entry: Entry) -> ModelSpec:
    kind = KINDS[entry.family]
    known: dict[str, Any] = {
        "name": entry.name,
        "stems": entry.stems,
        "licence": entry.licence.name,
        "notes": entry.licence.notes,
        "summary": entry.summary,
        "needs_consent": entry.needs_consent,
    }
    fields = {field.name for field in dataclasses.fields(kind)}
    settings = {name: _tuples(value) for name, value in entry.settings.items()}
    return kind(**{name: value for name, value in known.items() if name in fields}, **settings)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _weights() -> dict[str, Weights]:
    return {fields["name"]: _weights_of(fields) for fields in read_file(OFFICIAL)["weights"]}


def chosen_places() -> dict[str, str]:
    """`PLACES` as the environment has them."""
    return {name: os.environ.get(name) or usual for name, usual in PLACES.items()}


def _weights_of(fields: Mapping[str, Any]) -> Weights:
    chosen = chosen_places()
    sources = [
        Source(**{**each, "location": each["location"].format_map(places)})
        for each in fields["sources"]
        for places in (chosen, PLACES)
    ]
    return Weights(
        fields["name"], tuple(WeightsFile(**each) for each in fields["files"]), tuple(dict.fromkeys(sources))
    )


def find_spec(name: str) -> ModelSpec:
    """The model called ``name``, or by a short name, which here means the model that needs no other.

    Raises `UnknownModelError` with the names there are.
    """
    known = specs()
    name = SHORT_NAMES.get(name, name)
    if name not in known:
        raise UnknownModelError(f"there is no model called {name!r}; the models are {', '.join(known)}")
    return known[name]


def weights_names() -> list[str]:
    """The names of all sets of official weights."""
    return list(_weights())


def model_with(weights: str) -> str:
    """The name of the first model of the catalogue with the weights called ``weights``; else that name itself."""
    return next((spec.name for spec in specs().values() if spec.weights == weights), weights)


def find_weights(name: str) -> Weights:
    """The set of weights called ``name``. Raises `UnknownModelError`."""
    known = _weights()
    if name not in known:
        raise UnknownModelError(f"there are no weights called {name!r}; there are {', '.join(known)}")
    return known[name]
