"""Where weights lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The per-user cache: ``UNWEAVE_CACHE``, or the platform's own place. Not created here."""
    chosen = os.environ.get("UNWEAVE_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("unweave")


def weights_folder(name: str) -> Path:
    """The folder for the weights called ``name``: under Spleeter's ``MODEL_PATH`` where that is set."""
    spleeter = os.environ.get("MODEL_PATH")
    return Path(spleeter).expanduser() / name if spleeter else cache_folder() / "weights" / name


def graphs_folder() -> Path:
    """Networks converted to ONNX, named after the contents of their weights."""
    return cache_folder() / "graphs"


def added_folder() -> Path:
    """Models that the user added, one folder each."""
    return cache_folder() / "added"


def checksums_folder() -> Path:
    """CRC32Cs of official files, each in a file named after its SHA-256."""
    return cache_folder() / "checksums"


def downloads_folder() -> Path:
    """Files of published models on their way, one folder for each; nothing is left there once a model was added."""
    return cache_folder() / "downloads"
