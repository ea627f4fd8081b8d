"""From the JSON files of the catalogue to `Entry`."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unweave.models.catalogue.entry import Download, Entry, EntryFile, Licence, Score
from unweave.models.spec import Source

FOLDER = Path(__file__).parent
OFFICIAL = "official"  # the file with the models that are more than a checkpoint
HUB = "hub:"  # hub:owner/name[@revision]/path


@functools.cache
def entries() -> Mapping[str, Entry]:
    """All models of the list by name: the official ones, then the others."""
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    names.sort(key=lambda name: name != OFFICIAL)
    read = [entry for name in names for entry in entries_in(name)]
    known = {entry.name: entry for entry in read}
    assert len(known) == len(read), "a model is listed twice"
    return known


@functools.cache
def entries_in(file: str) -> tuple[Entry, ...]:
    """The models that one file of the catalogue lists."""
    return tuple(map(_entry, read_file(file)["models"]))


def published() -> Mapping[str, Entry]:
    """The models that are checkpoints made by others."""
    return {name: entry for name, entry in entries().items() if entry.downloads}


def find_entry(name: str) -> Entry | None:
    """The model of the list called ``name``, here or in other tools, in small or capital letters; None if none is."""
    return _by_any_name().get(name.casefold())


def read_file(name: str) -> dict[str, Any]:
    """What one file of the catalogue holds."""
    fields: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return fields


@functools.cache
def _by_any_name() -> Mapping[str, Entry]:
    aliases = {alias.casefold(): entry for entry in entries().values() for alias in entry.aliases}
    return aliases | {name.casefold(): entry for name, entry in entries().items()}


def _entry(fields: Mapping[str, Any]) -> Entry:
    downloads = tuple(_download(each, fields.get("settings", {})) for each in fields.get("downloads", ()))
    return Entry(
        name=fields["name"],
        family=fields["family"],
        stems=tuple(fields["stems"]),
        summary=fields["summary"],
        licence=Licence(**fields["licence"]),
        author=fields.get("author", ""),
        scores=tuple(Score(each["test_set"], each["SDR"], each["source"]) for each in fields.get("scores", ())),
        aliases=tuple(fields.get("aliases", ())),
        is_verified=fields.get("verified", False),
        is_recommended=fields.get("recommended", False),
        downloads=downloads,
        settings={} if downloads else fields.get("settings", {}),
    )


def _download(fields: Mapping[str, Any], settings: Mapping[str, Any]) -> Download:
    configuration = fields.get("configuration")
    return Download(
        tuple(map(_file, fields["files"])),
        _file(configuration) if configuration else None,
        {} if configuration else fields.get("settings", settings),
    )


def _file(fields: Mapping[str, Any]) -> EntryFile:
    return EntryFile(**{**fields, "sources": tuple(map(_source, fields["sources"]))})


def _source(text: str) -> Source:
    if not text.startswith(HUB):
        return Source("file", text)
    owner, name, path = text.removeprefix(HUB).split("/", 2)
    name, _, revision = name.partition("@")
    return Source("hub", f"{owner}/{name}", path=path, revision=revision)
