"""From the name that the user gives to a model's description and its weights; every command uses this.

The name can be one in the catalogue (or the name that other tools have for that model's file), a short name, the name
under which a model was added, or the path of a Spleeter configuration (``.json``) or of an exported model (``.onnx``,
``.safetensors``).
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unweave.errors import DownloadError, ModelError, UnknownModelError
from unweave.models.added import GRAPH, WEIGHTS, added_model_folder, added_names
from unweave.models.catalogue import Entry, find_entry, published
from unweave.models.catalogue.official import CASCADES, SHORT_NAMES, find_spec, specs, weights_names
from unweave.models.checkpoint_folder import checkpoint_name, has_checkpoint
from unweave.models.export import read_exported_spec
from unweave.models.files import SEAL, is_sealed
from unweave.models.foreign import DESCRIPTION, not_here, read_foreign
from unweave.models.hub import SPLEETERS_FOLDER, ensure_weights
from unweave.models.spec import DownloadProgress, MaskModelSpec, ModelSpec
from unweave.models.spleeter_json import read_spleeter_json

log = logging.getLogger(__name__)

MODEL_FILES = (".json", ".onnx", ".safetensors")  # what ends so is the path of a model, where none is called so


def _unseen(done: int, total: int | None, label: str) -> None:
    """No report of a download."""


@dataclass(frozen=True)
class ResolvedModel:
    """A model that can be loaded: what it is, and where its weights are once they are on this machine.

    ``locate(offline, progress)`` downloads them if necessary; its result is what `network_path` and `load_unets` take.
    ``before`` is the model that runs first, if there is one. ``instead`` is the model to run if the weights of
    ``before`` are not available.
    """

    spec: ModelSpec
    locate: Callable[[bool, DownloadProgress], Path]
    before: ResolvedModel | None = None
    instead: ResolvedModel | None = None

    def ready(self, offline: bool, progress: DownloadProgress = _unseen) -> ResolvedModel:
        """This model with all its weights on this machine, or ``instead`` if those of ``before`` are not available.

        The weights are verified here, so ``locate`` of the result costs nothing. If there was a choice, it is logged.
        Raises `DownloadError` if there is nothing to choose.
        """
        before = None
        try:
            if self.before is not None:
                before = self.before.ready(offline, progress)
        except DownloadError as error:
            if self.instead is None:
                raise
            log.warning(
                "using %s: %s separates vocals better, but the weights of %s are not here and could not be fetched",
                self.instead.spec.name,
                self.spec.name,
                self.before.spec.name if self.before else "",
            )
            log.debug("%s", error)
            return self.instead.ready(offline, progress)
        if self.instead is not None:
            log.info("using %s", self.spec.name)
        location = self.locate(offline, progress)
        return ResolvedModel(self.spec, lambda offline, progress: location, before)

    def at_hand(self) -> ResolvedModel:
        """What `ready` would give without a network, still to be located: nothing is fetched, and nothing is logged."""
        if self.before is None or self.instead is None:
            return self
        try:
            self.before.locations(True)
        except DownloadError:
            return self.instead
        return self

    def locations(self, offline: bool, progress: DownloadProgress = _unseen) -> list[Path]:
        """Where the weights are, in the order in which they are used."""
        before = [] if self.before is None else self.before.locations(offline, progress)
        return [*before, self.locate(offline, progress)]


def _refuse_checkpoint(model: str) -> None:
    """Say what to do with a checkpoint that others made, where it is taken for a model."""
    from unweave.models.checkpoints import is_checkpoint_name

    if "\0" not in model and is_checkpoint_name(Path(model)) and os.path.isfile(model):
        raise ModelError(f"{model} is not a model yet: 'unweave models add NAME {model}' makes it one, called NAME")


def resolve(model: str) -> ResolvedModel:
    """The model that ``model`` names. Raises `UnknownModelError`, or `ModelError` for an unusable configuration.

    ``4stems`` and ``5stems`` are cascades that need Spleeter's weights. Call `ResolvedModel.ready` to get our own
    network by itself if those are not available.
    """
    if model in CASCADES:
        return dataclasses.replace(_official(find_spec(CASCADES[model])), instead=_official(find_spec(model)))
    if model in specs() or model in SHORT_NAMES:
        return _official(find_spec(model))
    if model in added_names():
        return _added(model)
    path = Path(model)
    is_path = path.suffix in MODEL_FILES and "\0" not in model
    entry = find_entry(model)
    if entry is not None and not (is_path and os.path.isfile(path)):
        return resolve(entry.name) if model != entry.name else _published(entry)
    if not is_path:
        _refuse_checkpoint(model)
        known = ", ".join([*SHORT_NAMES, *specs(), *added_names()])
        raise UnknownModelError(
            f"there is no model called {model!r}; name one of {known}, one of 'unweave models list --all', "
            "or the path of a .json, .onnx or .safetensors file"
        )
    try:
        path = path.expanduser()
    except RuntimeError as error:  # "~someone" who does not exist
        raise ModelError(f"cannot read {model}: {error}") from error
    if path.suffix == ".json":
        return _configured(path)
    return ResolvedModel(read_exported_spec(path), lambda offline, progress: path)


def official_weights(model: ResolvedModel) -> list[str]:
    """The names of the sets of official weights that ``model`` needs; none for a model of the user's own."""
    parts = [part for part in (model.before, model) if part is not None]
    return [part.spec.weights for part in parts if part.spec.name in specs()]


def _official(spec: ModelSpec) -> ResolvedModel:
    def locate(offline: bool, progress: DownloadProgress) -> Path:
        folder = ensure_weights(spec.weights, offline=offline, progress=progress)
        is_graph = not isinstance(spec, MaskModelSpec) or not spec.is_classic
        return folder / f"{spec.weights}.onnx" if is_graph else folder

    before = resolve(spec.before) if isinstance(spec, MaskModelSpec) and spec.before else None
    return ResolvedModel(spec, locate, before)


def _added(name: str) -> ResolvedModel:
    folder = added_model_folder(name)
    if os.path.isfile(folder / SEAL) and not is_sealed(folder):
        entry = published().get(name)
        if entry is not None and entry.download is not None:
            return _published(entry)  # it is fetched again
        raise ModelError(f"the files of {name} in {folder} are damaged: add it again")
    if os.path.isfile(folder / DESCRIPTION):
        return ResolvedModel(read_foreign(folder, name), lambda offline, progress: folder)
    if os.path.isfile(folder / GRAPH):
        described = dataclasses.replace(read_exported_spec(folder / GRAPH), name=name, weights=name)
        return ResolvedModel(described, lambda offline, progress: folder / GRAPH)
    spec, _ = read_spleeter_json(folder / "model.json")
    spec = dataclasses.replace(spec, name=name, weights=name)
    return ResolvedModel(spec, lambda offline, progress: folder)


def _published(entry: Entry) -> ResolvedModel:
    """A model of the list whose file is not here; whoever loads it fetches it first (`unweave.families.load`)."""
    size = f" ({entry.n_bytes / 1e6:.0f} MB)" if entry.n_bytes else ""
    how = "fetch" if entry.download else "info"

    def locate(offline: bool, progress: DownloadProgress) -> Path:
        raise DownloadError(f"{entry.name} is not on this machine{size}: run 'unweave models {how} {entry.name}'")

    return ResolvedModel(not_here(entry), locate)


def _configured(path: Path) -> ResolvedModel:
    """A JSON whose ``model_dir`` is a folder, found as Spleeter finds it, or the name of official weights.

    The folder holds a checkpoint, or what `unweave-spleeter train` left; of both, the newer is taken.
    """
    spec, model_dir = read_spleeter_json(path)
    places = [
        Path(os.environ.get("MODEL_PATH") or SPLEETERS_FOLDER) / model_dir,
        path.parent / model_dir,
        Path(model_dir),
    ]
    for folder in places:
        trained = next((folder / name for name in (GRAPH, WEIGHTS) if os.path.isfile(folder / name)), None)
        if trained is not None and not _has_newer_checkpoint(folder, trained):
            return _trained(path, spec, trained)
        if has_checkpoint(folder):
            return ResolvedModel(spec, lambda offline, progress, found=folder: found)  # type: ignore[misc]
    if model_dir in weights_names():
        return _official(dataclasses.replace(spec, weights=model_dir))
    looked = ", ".join(str(place) for place in dict.fromkeys(places))
    raise ModelError(
        f"{path}: model_dir {model_dir!r} contains no checkpoint and no {GRAPH} or {WEIGHTS} (looked in {looked})"
    )


def _has_newer_checkpoint(folder: Path, trained: Path) -> bool:
    index = folder / f"{checkpoint_name(folder)}.index"
    return has_checkpoint(folder) and os.path.getmtime(index) > os.path.getmtime(trained)


def _trained(path: Path, spec: MaskModelSpec, weights: Path) -> ResolvedModel:
    """The model that training with the configuration ``path`` left in ``weights``."""
    described = read_exported_spec(weights)
    for field in ("stems", "sample_rate", "n_fft", "hop_length"):
        if getattr(described, field) != getattr(spec, field):
            raise ModelError(f"{path} contradicts {weights}, whose {field} is {getattr(described, field)}")
    kept = {field: getattr(spec, field) for field in ("name", "mask_exponent", "mask_extension")}
    return ResolvedModel(dataclasses.replace(described, **kept), lambda offline, progress: weights)
