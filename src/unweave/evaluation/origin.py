"""What scores were made from: the model, its weights, every setting, the program, and the very track."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import unweave
from unweave.evaluation.tracks import Track
from unweave.models.checkpoint_folder import checkpoint_name
from unweave.models.foreign import ARRAYS
from unweave.models.resolve import ResolvedModel, resolve
from unweave.separation.ensemble import parse_ensemble
from unweave.separation.separator import Separator

# Exported networks: ONNX Runtime reads the graph, PyTorch the weights beside it; large graphs keep their data apart.
NETWORK_FILES = (".onnx", ".onnx.data", ".onnx_data", ".safetensors")


@dataclass(frozen=True)
class Origin:
    """Everything that scores depend on; scores of another origin are never shown for this one."""

    model: str  # as the user wrote it
    weights: str  # SHA-256 over the files of its weights and its description
    settings: Mapping[str, Any]  # as `Separator` was given them
    versions: Mapping[str, str]  # of unweave, and of museval, which computes most of the figures
    path: str = ""  # the track, as an absolute path
    content: str = ""  # SHA-256 over the track's audio files

    def of(self, track: Track) -> Origin:
        """The origin of ``track``'s scores. Raises OSError where a file of it cannot be read."""
        return dataclasses.replace(self, path=str(track.path.resolve()), content=_checksum(track.files()))

    def to_json(self) -> dict[str, Any]:
        """As plain values, equal to what is read back from JSON."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return values


def origin_of(separator: Separator) -> Origin:
    """What scores of ``separator`` are made from, before any track is known. Raises `ModelError`."""
    settings = dict(separator.settings)
    model = str(settings.pop("model"))
    versions = {"unweave": unweave.__version__, "museval": _version("museval")}
    return Origin(model, weights_checksum(model), settings, versions)


def weights_checksum(model: str) -> str:
    """SHA-256 over the weights and the descriptions of ``model``: of all that is run."""
    digest = hashlib.sha256()
    for part in parse_ensemble(model):
        for resolved in _chain(resolve(part.model).at_hand()):
            digest.update(f"{part.weight} {resolved.spec!r}".encode())
            location = resolved.locate(True, lambda done, total, label: None)
            digest.update(_checksum(_weights_files(location)).encode())
    return digest.hexdigest()


def folder_name(settings: Mapping[str, Any]) -> str:
    """A name for the folder of scores of one model and its settings, so that two runs don't share a folder unasked."""
    model = str(settings["model"])
    parts = [re.sub(r"[^A-Za-z0-9._+-]+", "-", Path(model).stem if Path(model).suffix else model).strip("-.")]
    if Path(model).suffix or Path(model).name != model:  # two files may have one name
        parts.append(hashlib.sha256(os.fsencode(Path(model).resolve())).hexdigest()[:8])
    parts.append(str(settings["quality"]))
    if settings["wiener"]:
        parts.append("mwf")
    if settings["shifts"] != 1:
        parts.append(f"shifts{settings['shifts']}")
    for name in ("rule", "segment_seconds", "overlap"):
        if settings.get(name) is not None:
            parts.append(f"{name.partition('_')[0]}{re.sub(r'[^A-Za-z0-9._]+', '-', str(settings[name]))}")
    if settings.get("tta"):
        parts.append("tta")
    return "-".join(part for part in parts if part)


def _chain(resolved: ResolvedModel | None) -> Iterator[ResolvedModel]:
    while resolved is not None:
        yield resolved
        resolved = resolved.before


def _weights_files(location: Path) -> list[Path]:
    if location.is_dir():
        if (location / ARRAYS).is_file():
            return [location / ARRAYS]
        name = checkpoint_name(location)
        return sorted([*location.glob(f"{name}.index"), *location.glob(f"{name}.data-*")])
    return [path for suffix in NETWORK_FILES if (path := location.with_name(location.stem + suffix)).is_file()]


def _checksum(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode(errors="surrogateescape"))
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
