"""From a model's name to its network as an ONNX file, converted once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import google_crc32c

from unweave.errors import ModelError
from unweave.models.cache import graphs_folder
from unweave.models.spec import MaskModelSpec

# Part of every cached file's name: raise it when `onnx_graph` builds another graph from the same weights.
GRAPH_VERSION = 1
# What the graph depends on; the rest of a spec (bins, masks, names) is applied outside of it.
GRAPH_FIELDS = ("stems", "head", "encoder_activation", "decoder_activation", "n_filters", "n_channels")


def network_path(spec: MaskModelSpec, folder: Path) -> Path:
    """The ONNX file of ``spec`` from the TensorFlow checkpoint in ``folder``, converted if it was not yet.

    The name follows from the checkpoint's index, which holds the checksum of each tensor: other weights, another file.
    Raises `CheckpointError` for a damaged checkpoint and `ModelError` where the cache cannot be written.
    """
    prefix = folder / checkpoint_name(folder)
    index = prefix.with_name(prefix.name + ".index")
    fields = json.dumps({field: asdict(spec)[field] for field in GRAPH_FIELDS}, sort_keys=True)
    digest = hashlib.sha256(fields.encode())
    if index.is_file():
        digest.update(index.read_bytes())
    path = graphs_folder() / f"{spec.weights}-{digest.hexdigest()[:16]}-v{GRAPH_VERSION}.onnx"
    if not _is_whole(path):
        _convert(spec, prefix, path)
    return path


def checkpoint_name(folder: Path) -> str:
    """The prefix of the newest checkpoint in ``folder``, as TensorFlow's ``checkpoint`` file names it."""
    listing = folder / "checkpoint"
    if listing.is_file():
        for line in listing.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model_checkpoint_path":
                name = Path(value.strip().strip('"')).name
                if (folder / f"{name}.index").is_file():
                    return name
    return "model"


def _convert(spec: MaskModelSpec, prefix: Path, path: Path) -> None:
    # Imported here: the conversion runs once per machine, and `onnx` takes 0.14 s to import.
    from unweave.models.onnx_graph import build_graph
    from unweave.models.tf_checkpoint import TensorBundle
    from unweave.models.unet_weights import read_unets

    raw = build_graph(read_unets(TensorBundle(prefix), spec), spec).SerializeToString()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, raw)
        _replace(_checksum_path(path), f"{len(raw)} {google_crc32c.value(raw)}".encode())
    except OSError as error:
        raise ModelError(f"cannot keep the converted network in {path.parent}: {error.strerror}") from error


def _replace(path: Path, raw: bytes) -> None:
    """Write beside ``path``, then rename: whoever reads it sees the old file, the whole new one, or none."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _checksum_path(path: Path) -> Path:
    return path.with_suffix(".crc")


def _is_whole(path: Path) -> bool:
    """Whether ``path`` has the length and checksum that were noted when it was written."""
    try:
        size, crc = _checksum_path(path).read_text().split()
        if path.stat().st_size != int(size):
            return False
        checksum = 0
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                checksum = google_crc32c.extend(checksum, block)
        return checksum == int(crc)
    except (OSError, ValueError):
        return False
