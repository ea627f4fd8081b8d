"""Lists of training files as people's programs write them, read so that each mistake can be shown with its place.

Taken as they are: a byte order mark, commas, semicolons or tabs, Excel's line ``sep=;``, lines without any value, and
backslashes between folders.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unweave.errors import OptionError

DELIMITERS = ",;\t"
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Row:
    """One line of a list: its values by column, and where it stands."""

    origin: Path  # the list
    line: int  # counted from 1
    values: Mapping[str, str]

    def get(self, column: str) -> str:
        """The value in ``column``, empty where the list has no such column."""
        return self.values.get(column, "")

    def need(self, column: str) -> str:
        """The value in ``column``. Raises `OptionError` where there is none."""
        if column not in self.values:
            raise OptionError(f"{self.origin} has no column {column}; it has {', '.join(self.values)}")
        if not self.values[column]:
            raise self.error(column, "the value is missing")
        return self.values[column]

    def file(self, column: str, root: Path) -> Path:
        """The file that ``column`` names, which starts at ``root`` if it is relative. Raises `OptionError`."""
        name = self.need(column)
        # A backslash is part of a name on most systems: only where there is no such file, it stands between folders.
        places = [root / name, root / name.replace("\\", "/")]
        try:
            found = next((path for path in places if path.is_file()), None)
            if found is not None:
                return found
            what = "is not a file" if places[-1].exists() else "does not exist"
        except (OSError, ValueError) as error:
            what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise self.error(column, f"{places[-1]} {what}")

    def positive(self, column: str, default: float) -> float:
        """The number in ``column``, or ``default`` where there is no value. Raises `OptionError`."""
        text = self.get(column)
        if not text:
            return default
        try:
            number = float(text.replace(",", "."))
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise self.error(column, f"expected a number above 0, got {text!r}")
        return number

    def error(self, column: str, what: str) -> OptionError:
        """An error at this place."""
        return OptionError(f"{self.origin}, line {self.line}, column {column}: {what}")


def read_rows(path: Path) -> list[Row]:
    """The rows of the list ``path``, whose first line names the columns.

    Raises `OptionError`, with file, line and column, for a list that cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror or error}") from error
    text = _decoded(raw, path)
    n_skipped = 0
    if hint := re.match(r"(?i)\s*sep=(.)\r?\n", text):
        text, n_skipped = text[hint.end() :], 1
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = hint[1] if hint else max(DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    columns: list[str] = []
    rows = []
    last_line = n_skipped
    try:
        for cells in reader:
            line, last_line = last_line + 1, reader.line_num + n_skipped  # a quoted value may hold line ends
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not columns:
                columns = _columns(cells, path, line)
                continue
            if any(cells[len(columns) :]):
                raise OptionError(
                    f"{path}, line {line}, column {len(columns) + 1}: expected {len(columns)} values "
                    f"({', '.join(columns)}), got {len(cells)}"
                )
            cells += [""] * (len(columns) - len(cells))
            rows.append(Row(path, line, {name: cell for name, cell in zip(columns, cells, strict=False) if name}))
    except csv.Error as error:
        raise OptionError(f"{path}, line {reader.line_num + n_skipped}: {error}") from error
    if not rows:
        raise OptionError(f"{path} is empty")
    return rows


def _columns(cells: Sequence[str], path: Path, line: int) -> list[str]:
    names = [cell.lower() for cell in cells]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"{path}, line {line}: two columns are called {twice}")
    return names


def _decoded(raw: bytes, path: Path) -> str:
    encoding = next((encoding for mark, encoding in MARKS.items() if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8" if encoding != "utf-16" else encoding, errors="replace")
        line = before.count("\n") + 1
        head, start = raw.decode("latin-1").lstrip("\ufeffï»¿").split("\n", 1)[0], before.rpartition("\n")[2]
        delimiter = max(DELIMITERS, key=head.count)
        place, names = start.count(delimiter), [name.strip().strip('"') for name in head.split(delimiter)]
        column = names[place] if line > 1 and place < len(names) else str(place + 1)
        what = f"the byte {raw[error.start]:#04x} is not UTF-8; save the list as UTF-8"
        raise OptionError(f"{path}, line {line}, column {column}: {what}") from error
