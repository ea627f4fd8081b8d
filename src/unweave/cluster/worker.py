"""One process of the cluster: a loaded model, and one file after the other."""

from __future__ import annotations

import os
import posixpath
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unweave.audio.encode import remove_orphans
from unweave.cluster.places import Place
from unweave.errors import UnweaveError
from unweave.separation.ensemble import open_separator
from unweave.separation.output import OutputOptions, stem_paths


@dataclass(frozen=True)
class Work:
    """What every worker does with every file."""

    source: Place
    target: Place
    model: str
    output: OutputOptions
    stems: tuple[str, ...] | None
    separator: dict[str, Any]  # arguments of the Separator


@dataclass(frozen=True)
class Result:
    """What became of one file: its stems' names below the target, or an error in one line."""

    name: str
    stems: dict[str, str]
    error: str = ""


class Worker:
    """Loads the model once; `separate` may be called again for the same file, and gives the same stems."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._separator = open_separator(work.model, **work.separator)

    def process_number(self) -> int:
        """The number of this worker's process."""
        return os.getpid()

    def stem_names(self, name: str) -> dict[str, str]:
        """Where the stems of ``name`` go, below the target."""
        source = Path(name)
        chosen = self._separator.stem_names(self._work.stems)
        paths = stem_paths(Path(source.name), Path(), chosen, self._work.output)
        return {stem: posixpath.join(source.parent.as_posix(), path.as_posix()) for stem, path in paths.items()}

    def separate(self, name: str) -> Result:
        """Separate the file ``name``; what goes wrong with it is a result, not an exception."""
        try:
            names = self.stem_names(name)
            if self._work.source.is_local and self._work.target.is_local:
                self._separate_here(name)
            else:
                self._separate_elsewhere(name, names)
        except UnweaveError as error:
            return Result(name, {}, " ".join(str(error).split()))
        return Result(name, names)

    def _separate_here(self, name: str) -> None:
        """Straight from folder to folder; stems appear together, as everywhere."""
        folder = self._work.target.local_folder / Path(name).parent
        source = self._work.source.local_folder / name
        chosen = self._separator.stem_names(self._work.stems)
        remove_orphans({path.parent for path in stem_paths(source, folder, chosen, self._work.output).values()})
        self._separator.separate_file(source, folder, self._work.output, stems=self._work.stems)

    def _separate_elsewhere(self, name: str, names: dict[str, str]) -> None:
        with tempfile.TemporaryDirectory(prefix="unweave-worker-") as temporary:
            source = Path(temporary) / "in" / Path(name).name
            source.parent.mkdir()
            self._work.source.fetch(name, source)
            paths = self._separator.separate_file(
                source, Path(temporary) / "out", self._work.output, stems=self._work.stems
            )
            for path, target in {path: names[stem] for stem, path in paths.items()}.items():
                self._work.target.put(path, target)
