"""What became of each file of a run, as a JSON or CSV file."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from unweave.audio.sources import reason
from unweave.errors import AudioWriteError, OptionError
from unweave.files import replace_file
from unweave.separation.outcome import Outcome

REPORT_FIELDS = ("file", "status", "error", "stems")


def write_report(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write what became of each file, as JSON or CSV by the extension of ``path``, which appears whole or not at all.

    Names that are not Unicode can be read back from the JSON; a CSV shows them with ``\\udc..`` in place of each byte.
    Raises `OptionError` or `AudioWriteError`.
    """
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
    if path.suffix.lower() == ".json":
        raw = json.dumps(rows, indent=2).encode()
    else:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, REPORT_FIELDS)
        writer.writeheader()
        writer.writerows({**row, "stems": " ".join(dict.fromkeys(row["stems"].values()))} for row in rows)
        raw = text.getvalue().encode("utf-8", "backslashreplace")
    try:
        replace_file(path, raw)
    except OSError as error:
        raise AudioWriteError(f"cannot write {path}: {reason(error)}") from error


def check_report(path: Path) -> None:
    """Make the folder of a report, and see that a file can be written in it.

    Raises `OptionError` for a report that is neither JSON nor CSV, `AudioWriteError` for one that cannot be written.
    """
    if path.suffix.lower() not in (".json", ".csv"):
        raise OptionError(f"expected a report that ends in .json or .csv, got {path}")
    check_can_write(path)


def check_can_write(path: Path) -> None:
    """Make the folder of ``path``, and raise `AudioWriteError` if a file called so cannot be written there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise AudioWriteError(f"cannot write {path}: it is a folder")
        with suppress(FileNotFoundError):
            path.stat()  # raises for a name that is too long
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise AudioWriteError(f"cannot write {path}: {reason(error)}") from error


def check_lines(path: Path) -> None:
    """The same for a report of JSON lines that is appended to; `OptionError` for a file that is something else."""
    check_can_write(path)
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except FileNotFoundError:
        return
    except OSError as error:
        raise AudioWriteError(f"cannot write {path}: {reason(error)}") from error
    if first not in (b"", b"{"):
        raise OptionError(f"expected a new report, or one of JSON lines to append to, got {path}")


def append_line(path: Path, line: str) -> None:
    """Append ``line`` to a report that grows. Raises `AudioWriteError`."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise AudioWriteError(f"cannot write {path}: {reason(error)}") from error
