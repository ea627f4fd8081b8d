"""What a run over many files has done, line by line on disk, so that the next run does only what is missing."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unweave.errors import AudioWriteError, OptionError
from unweave.models.files import replace_file
from unweave.separation.outcome import Outcome, Task

if TYPE_CHECKING:
    from unweave.separation.batch import BatchOptions

FILE = "unweave-journal.jsonl"
REPORT_FIELDS = ("file", "status", "error", "stems")


class Journal:
    """Finished files of a folder, each with what it was made from and how.

    A line is appended and synced when all stems of a file are there; a line that was cut off counts as none. Raises
    `AudioWriteError` where it cannot be written.
    """

    def __init__(self, folder: Path, settings: object) -> None:
        self._path = folder / FILE
        self._settings = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
        self._lock = threading.Lock()
        self._known = self._read()

    def is_done(self, task: Task, paths: Sequence[Path]) -> bool:
        """Whether all stems are there, of this very file, made with these settings.

        Stems that no line speaks of count as done too: another run has made them.
        """
        if not all(path.is_file() for path in paths):
            return False
        known = self._known.get(str(task.source))
        return known is None or known == self._identity(task)

    def record(self, task: Task) -> None:
        """Note that ``task`` is done."""
        entry = {"file": str(task.source), **self._identity(task)}
        line = (json.dumps(entry) + "\n").encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, self._path.open("ab") as file:
                if file.tell() and not self._ends_with_newline():
                    file.write(b"\n")  # after a line that was cut off
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AudioWriteError(f"cannot write {self._path}: {error.strerror or error}") from error

    def _ends_with_newline(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _identity(self, task: Task) -> dict[str, Any]:
        try:
            status = task.source.stat()
        except OSError:
            return {}
        return {"bytes": status.st_size, "changed_ns": status.st_mtime_ns, "settings": self._settings}

    def _read(self) -> dict[str, dict[str, Any]]:
        known = {}
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                    known[entry.pop("file")] = entry
                except (ValueError, KeyError, AttributeError):
                    continue
        return known


def write_report(outcomes: Sequence[Outcome], path: Path) -> None:
    """What became of each file, as JSON or CSV by the extension of ``path``; `OptionError` or `AudioWriteError`."""
    rows: list[dict[str, Any]] = [
        {
            "file": str(outcome.source),
            "status": outcome.status,
            "error": str(outcome.error) if outcome.error else "",
            "stems": {name: str(stem) for name, stem in outcome.stems.items()},
        }
        for outcome in outcomes
    ]
    check_report(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            replace_file(path, json.dumps(rows, indent=2).encode())
            return
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, REPORT_FIELDS)
            writer.writeheader()
            writer.writerows({**row, "stems": " ".join(row["stems"].values())} for row in rows)
    except OSError as error:
        raise AudioWriteError(f"cannot write {path}: {error.strerror or error}") from error


def check_report(path: Path) -> None:
    """Raise `OptionError` for a report that is neither JSON nor CSV."""
    if path.suffix not in (".json", ".csv"):
        raise OptionError(f"expected a report that ends in .json or .csv, got {path}")


def settings_of(model: str, options: BatchOptions, **more: object) -> tuple[object, ...]:
    """Everything that the bytes of the stems depend on, besides the source."""
    return (model, dataclasses.replace(options, jobs=1, skip_existing=False), sorted(more.items()))
