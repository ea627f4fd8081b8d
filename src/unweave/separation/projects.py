"""Where a DAW's project lies, and what it may be called: beside its stems, or around them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any

from unweave.audio.arguments import is_number
from unweave.audio.projects import FASTEST, SLOWEST
from unweave.audio.reaper import can_name
from unweave.errors import OptionError

PROJECT = "project"  # its name among those of the stems, where it is a file of its own


def checked_tempo(tempo: Any) -> float:
    """``tempo`` in beats per minute as a float. Raises `OptionError`."""
    if not is_number(tempo) or not SLOWEST <= tempo <= FASTEST:
        raise OptionError(f"expected a tempo from {SLOWEST:g} to {FASTEST:g} beats per minute, got {tempo!r}")
    return float(tempo)


def add_extension(path: PurePath, extension: str) -> PurePath:
    """``path`` with ``extension``, which programs know a project by."""
    is_there = path.name.lower().endswith(f".{extension}")
    return path if is_there else path.with_name(f"{path.name}.{extension}")


def check_stems(stems: Collection[str]) -> None:
    """Raise `OptionError` for a stem that has the project's own name."""
    if PROJECT in stems:
        raise OptionError(f"a stem of a project cannot be called {PROJECT!r}; leave it out, or choose another format")


def check_names(paths: Mapping[str, PurePath]) -> None:
    """Raise `OptionError` where a project of REAPER could not name the files of its stems."""
    for name, path in paths.items():
        if name != PROJECT and not can_name(beside(path, paths[PROJECT])):
            raise OptionError(f"a project of REAPER cannot name the file {str(path)!r}; choose another name")


def beside(path: PurePath, project: PurePath) -> str:
    """``path`` as seen from the folder of ``project``, with slashes."""
    return PurePath(os.path.relpath(path, project.parent)).as_posix()
