"""Folders with a TensorFlow checkpoint: which one it is."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST_LISTING = 1 << 16  # characters that are looked at; what names the newest checkpoint comes first


def checkpoint_name(folder: Path) -> str:
    """The prefix of the newest checkpoint in ``folder``, as TensorFlow's ``checkpoint`` file names it."""
    listing = folder / "checkpoint"
    if os.path.isfile(listing):
        with listing.open(errors="replace") as file:
            text = file.read(LONGEST_LISTING)
        for line in text.splitlines():
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
