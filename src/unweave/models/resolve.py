"""From what the user calls a model to its description and its weights.

A model is called by a name of the catalogue, by the name it was added under, or by the path of a configuration of
Spleeter's (``.json``) or of an exported model (``.onnx``, ``.safetensors``).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unweave.errors import ModelError, UnknownModelError
from unweave.models.added import GRAPH, added_model_folder, added_names
from unweave.models.catalog import SHORT_NAMES, find_spec, specs, weights_names
from unweave.models.export import read_exported_spec
from unweave.models.fetch import DownloadProgress
from unweave.models.hub import ensure_weights
from unweave.models.network import has_checkpoint
from unweave.models.spec import MaskModelSpec, ModelSpec, WaveformModelSpec
from unweave.models.spleeter_json import read_spleeter_json

MODEL_FILES = (".json", ".onnx", ".safetensors")  # what ends so is the path of a model, where none is called so


@dataclass(frozen=True)
class ResolvedModel:
    """A model that can be loaded: what it is, and where its weights are once they are on this machine.

    ``locate(offline, progress)`` fetches them if need be; its result is what `network_path` and `load_unets` take.
    ``before`` is the model that runs first, where there is one.
    """

    spec: ModelSpec
    locate: Callable[[bool, DownloadProgress], Path]
    before: ResolvedModel | None = None


def resolve(model: str) -> ResolvedModel:
    """The model that ``model`` names. Raises `UnknownModelError`, or `ModelError` for an unusable configuration."""
    if model in specs() or model in SHORT_NAMES:
        return _official(find_spec(model))
    if model in added_names():
        return _added(model)
    path = Path(model).expanduser()
    if path.suffix == ".json":
        return _configured(path)
    if path.suffix in MODEL_FILES:
        return ResolvedModel(read_exported_spec(path), lambda offline, progress: path)
    known = ", ".join([*specs(), *added_names()])
    raise UnknownModelError(
        f"no model is called {model!r}; there are {known}, or the path of a .json, .onnx or .safetensors file"
    )


def _official(spec: ModelSpec) -> ResolvedModel:
    def locate(offline: bool, progress: DownloadProgress) -> Path:
        folder = ensure_weights(spec.weights, offline=offline, progress=progress)
        is_graph = isinstance(spec, WaveformModelSpec) or not spec.is_classic
        return folder / f"{spec.weights}.onnx" if is_graph else folder

    before = resolve(spec.before) if isinstance(spec, MaskModelSpec) and spec.before else None
    return ResolvedModel(spec, locate, before)


def _added(name: str) -> ResolvedModel:
    folder = added_model_folder(name)
    if (folder / GRAPH).is_file():
        described = dataclasses.replace(read_exported_spec(folder / GRAPH), name=name, weights=name)
        return ResolvedModel(described, lambda offline, progress: folder / GRAPH)
    spec, _ = read_spleeter_json(folder / "model.json")
    spec = dataclasses.replace(spec, name=name, weights=name)
    return ResolvedModel(spec, lambda offline, progress: folder)


def _configured(path: Path) -> ResolvedModel:
    """A JSON whose ``model_dir`` is a folder, found as Spleeter finds it, or the name of official weights."""
    spec, model_dir = read_spleeter_json(path)
    places = [
        Path(os.environ.get("MODEL_PATH", "pretrained_models")) / model_dir,
        path.parent / model_dir,
        Path(model_dir),
    ]
    folder = next(filter(has_checkpoint, places), None)
    if folder is not None:
        return ResolvedModel(spec, lambda offline, progress: folder)
    if model_dir in weights_names():
        return _official(dataclasses.replace(spec, weights=model_dir))
    looked = ", ".join(str(place) for place in dict.fromkeys(places))
    raise ModelError(f"{path}: model_dir {model_dir!r} holds no checkpoint (looked in {looked})")
