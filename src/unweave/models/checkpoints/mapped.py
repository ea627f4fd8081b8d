"""A file in memory without reading it."""

from __future__ import annotations

import mmap
from pathlib import Path

from unweave.errors import CheckpointError


def mapped(path: Path) -> memoryview:
    """The bytes of ``path``; pages are read when they are first used, and released when no array needs them.

    Raises `CheckpointError` for an empty file and OSError where it cannot be read.
    """
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            raise CheckpointError("the file is empty")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
