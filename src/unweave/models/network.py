"""From a model's weights, in whatever file, to its network as an ONNX file, converted once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from unweave.errors import ModelError
from unweave.models.cache import graphs_folder
from unweave.models.files import kept_network_folder
from unweave.models.spec import MaskModelSpec
from unweave.models.unet_weights import UNetWeights

# Part of every cached file's name: raise it when `onnx_graph` builds another graph from the same weights.
GRAPH_VERSION = 1
NETWORK = "network.onnx"
# What the graph depends on; the rest of a spec (bins, masks, names) is applied outside of it.
GRAPH_FIELDS = ("stems", "head", "encoder_activation", "decoder_activation", "n_filters", "n_channels")


def network_path(spec: MaskModelSpec, location: Path) -> Path:
    """The ONNX file of ``spec`` from the weights at ``location``, converted if it was not yet.

    ``location`` is a folder with a TensorFlow checkpoint, a ``.safetensors`` file, or an ``.onnx`` file, which is taken
    as it is. Raises `CheckpointError` for damaged weights and `ModelError` where the cache cannot be written.
    """
    if location.suffix == ".onnx":
        return _folded_path(spec, location) if spec.folds else location
    return kept_network(spec, location, GRAPH_FIELDS, lambda path: _convert(spec, location, path))


def kept_network(
    spec: MaskModelSpec,
    weights: Path,
    fields: Sequence[str],
    write: Callable[[Path], None],
    version: int = GRAPH_VERSION,
) -> Path:
    """The ONNX file that ``write`` makes of ``weights``, kept in the cache until they or ``fields`` of ``spec`` change.

    Raises `ModelError` where nothing can be written.
    """
    told = json.dumps({field: asdict(spec)[field] for field in fields}, sort_keys=True)
    digest = hashlib.sha256(told.encode() + _identity(weights)).hexdigest()[:16]
    folder = graphs_folder() / f"{_folder_name(spec)}-{digest}-v{version}"
    return kept_network_folder(folder, lambda staged: write(staged / NETWORK)) / NETWORK


def _folded_path(spec: MaskModelSpec, location: Path) -> Path:
    """The network at ``location`` with stems added up as ``spec`` says, kept in the cache."""
    from unweave.models.folding import groups_of, write_folded

    fields = ("stems", "network_stems", "folds")
    return kept_network(spec, location, fields, lambda path: write_folded(location, groups_of(spec), path))


def _folder_name(spec: MaskModelSpec) -> str:
    """The name of the weights, which may be a stranger's, as the beginning of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", spec.weights).lstrip(".")[:64] or "model"


def load_unets(spec: MaskModelSpec, location: Path) -> tuple[UNetWeights, ...]:
    """The U-Nets of ``spec`` from a folder with a checkpoint or a ``.safetensors`` file, checksums verified."""
    from unweave.models.export import read_safetensors_unets
    from unweave.models.tf_checkpoint import TensorBundle
    from unweave.models.unet_weights import read_unets

    if location.suffix == ".safetensors":
        return read_safetensors_unets(location, spec)
    if location.suffix == ".onnx":
        raise ModelError(f"{location} contains a finished network, and its weights cannot be taken out of it")
    return read_unets(TensorBundle(location / checkpoint_name(location)), spec)


def checkpoint_name(folder: Path) -> str:
    """The prefix of the newest checkpoint in ``folder``, as TensorFlow's ``checkpoint`` file names it."""
    listing = folder / "checkpoint"
    if os.path.isfile(listing):
        for line in listing.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model_checkpoint_path":
                name = Path(value.strip().strip('"')).name
                if os.path.isfile(folder / f"{name}.index"):
                    return name
    indices = sorted(folder.glob("*.index"))
    return indices[0].stem if len(indices) == 1 else "model"


def has_checkpoint(folder: Path) -> bool:
    """Whether ``folder`` holds a checkpoint's index and at least one shard of its data; no if that cannot be seen."""
    try:
        name = checkpoint_name(folder)
        return os.path.isfile(folder / f"{name}.index") and any(
            entry.startswith(f"{name}.data-") for entry in os.listdir(folder)
        )
    except OSError:
        return False


def _identity(location: Path) -> bytes:
    """Bytes that differ where weights differ: a checkpoint's index holds the checksum of each tensor."""
    if location.is_file():
        with location.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest() if hasattr(hashlib, "file_digest") else file.read()
    index = location / f"{checkpoint_name(location)}.index"
    return index.read_bytes() if index.is_file() else b""


def _convert(spec: MaskModelSpec, location: Path, path: Path) -> None:
    # Imported here: the conversion runs once per machine, and `onnx` takes 0.14 s to import.
    from unweave.models.onnx_graph import build_graph

    path.write_bytes(build_graph(load_unets(spec, location), spec).SerializeToString())
