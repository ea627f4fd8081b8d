"""Where the stems of many files go, so that no file of a run destroys another."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from unweave.errors import OptionError
from unweave.separation.identity import FileIdentity, are_one_name, identity, key_of
from unweave.separation.outcome import Task
from unweave.separation.output import OutputOptions, relative_stem_paths, stem_paths


class Planner:
    """Gives each task the paths of its stems, and each path to one task only.

    ``sources`` are all inputs of the run, which no stem may overwrite, by whatever name it would reach them. Raises
    `OptionError` for a template that fits no song.
    """

    def __init__(self, sources: Iterable[Path], stems: Sequence[str], options: OutputOptions) -> None:
        relative_stem_paths("song", "folder", stems, options)
        self._inputs: dict[FileIdentity, Path] = {}
        for source in sources:
            found = identity(source)
            if found is not None:
                self._inputs.setdefault(found, source)
        self._stems = stems
        self._options = options
        self._taken: dict[str, list[tuple[Path, Path]]] = {}  # a path, whatever its case → paths and their sources

    def paths(self, task: Task) -> dict[str, Path] | None:
        """The path of each stem of ``task``; None where the same file, by another path, has the same ones already.

        Raises `OptionError` where a stem would overwrite an input or the stem of another input, `AudioWriteError` where
        it can never be written.
        """
        paths = stem_paths(task.source, task.folder, self._stems, self._options)
        unique = list(dict.fromkeys(paths.values()))
        for path in unique:
            self._refuse_input(task, path)
        owners = [self._owner(path) for path in unique]
        itself = identity(task.source)
        if all(owner is not None and _is_same(owner, task.source, itself) for owner in owners):
            return None
        for path, owner in zip(unique, owners, strict=True):
            if owner is not None:
                raise OptionError(
                    f"{task.source} was not separated: {path} is already taken by {owner}; separate them into "
                    "different folders, or add {foldername} to the template"
                )
        for path in unique:
            self._taken.setdefault(_folded(path), []).append((path, task.source))
        return paths

    def _refuse_input(self, task: Task, path: Path) -> None:
        found = identity(path)
        other = self._inputs.get(found) if found is not None else None
        if other is not None:
            raise OptionError(
                f"{task.source} was not separated: its stem {path} would overwrite the input {other}; choose another "
                "folder or template"
            )

    def _owner(self, path: Path) -> Path | None:
        """The input that has ``path`` already, under any name that the file system takes for the same."""
        for taken, source in self._taken.get(_folded(path), []):
            if key_of(taken) == key_of(path) or are_one_name(taken, path):
                return source
        return None


def _is_same(one: Path, other: Path, identity_of_other: FileIdentity | None) -> bool:
    return one == other or (identity_of_other is not None and identity(one) == identity_of_other)


def _folded(path: Path) -> str:
    return unicodedata.normalize("NFC", key_of(path)).casefold()
