"""Networks as ONNX files, made from weights once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from unweave.models.cache import graphs_folder
from unweave.models.checkpoint_folder import checkpoint_name
from unweave.models.files import kept_network_folder
from unweave.models.spec import MaskModelSpec

NETWORK = "network.onnx"


def kept_network(
    spec: MaskModelSpec,
    weights: Path,
    fields: Sequence[str],
    write: Callable[[Path], None],
    version: int,
) -> Path:
    """The ONNX file that ``write`` makes of ``weights``, kept in the cache until they or ``fields`` of ``spec`` change.

    Raises `ModelError` where nothing can be written.
    """
    told = json.dumps({field: asdict(spec)[field] for field in fields}, sort_keys=True)
    digest = hashlib.sha256(told.encode() + _identity(weights)).hexdigest()[:16]
    folder = graphs_folder() / f"{_folder_name(spec)}-{digest}-v{version}"
    return kept_network_folder(folder, lambda staged: write(staged / NETWORK)) / NETWORK


def _folder_name(spec: MaskModelSpec) -> str:
    """The name of the weights, which may be a stranger's, as the beginning of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", spec.weights).lstrip(".")[:64] or "model"


def _identity(location: Path) -> bytes:
    """Bytes that differ where weights differ: a checkpoint's index holds the checksum of each tensor."""
    if location.is_file():
        with location.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest() if hasattr(hashlib, "file_digest") else file.read()
    index = location / f"{checkpoint_name(location)}.index"
    return index.read_bytes() if index.is_file() else b""
