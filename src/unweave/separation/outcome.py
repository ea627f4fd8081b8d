"""One file of many: what is to be done with it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from unweave.errors import UnweaveError


@dataclass(frozen=True)
class Task:
    """One file to separate, and the folder its template starts from.

    ``error`` says why nothing can be done with it, as with a folder that may not be opened.
    """

    source: Path
    folder: Path
    error: UnweaveError | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    source: Path
    status: Literal["done", "skipped", "failed"]
    stems: dict[str, Path] = field(default_factory=dict)
    error: UnweaveError | None = None
