"""What has been separated, line by line on disk, so that the next run only does what is missing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import posixpath
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unweave.audio.sources import reason
from unweave.errors import AudioWriteError
from unweave.separation.batch_options import BatchOptions

FILE = "unweave-journal.jsonl"
# How coarsely file systems and archives keep times, in nanoseconds: a time that is a multiple of the first number may
# be off by the second. FAT keeps even seconds, archives whole ones, exFAT hundredths, NTFS steps of 100 ns.
TIME_STEPS_NS = ((1_000_000_000, 2_000_000_000), (10_000_000, 10_000_000), (100, 100))


@dataclass(frozen=True)
class Entry:
    """One finished file: what it was, how it was separated, and its stems.

    ``source`` identifies the file it was made from: its path, its size, and when it last changed. ``stems`` are the
    files that were written: path within the journal's folder → size and modification time in nanoseconds (0: unknown).
    """

    source: Mapping[str, Any]
    settings: str
    stems: Mapping[str, tuple[int, int]]

    def line(self) -> str:
        """As a line of the journal, which `parse_lines` reads; ASCII, so that any name can be written."""
        return json.dumps({**self.source, "settings": self.settings, "stems": self.stems}) + "\n"


class Journal:
    """The finished files of an output folder, each with what it was made from and how.

    A line is appended and synced once all stems of a file are there; a line that was cut off is ignored. If several
    lines are about the same stem, the last one counts.
    """

    def __init__(self, folder: Path, settings: object) -> None:
        self._folder = folder
        self._path = folder / FILE
        self._settings = settings_key(settings)
        self._lock = threading.Lock()
        self._latest = latest_by_stem(read_journal(folder))

    def is_done(self, source: Path, paths: Iterable[Path]) -> bool:
        """Whether ``paths`` are the stems of exactly this ``source``, made with these settings and unchanged since."""
        known = file_state(source)
        names = [self._name(path) for path in dict.fromkeys(paths)]
        stamps = [file_stamp(self._folder / name) for name in names]
        return known is not None and is_done(self._latest, known, self._settings, dict(zip(names, stamps, strict=True)))

    def replaced_source(self, source: Path, paths: Iterable[Path]) -> str | None:
        """Another song whose stems are at these ``paths`` and would be replaced; None if there is none."""
        itself = os.path.realpath(source)
        for path in paths:
            entry = self._latest.get(self._name(path))
            if entry is not None and entry.source.get("file") != itself and file_stamp(path) is not None:
                return str(entry.source.get("file"))
        return None

    def record(self, state: Mapping[str, Any] | None, source: Path, paths: Iterable[Path]) -> None:
        """Note that ``source`` was separated into ``paths``.

        ``state`` is the source's `file_state` from before. If it has changed since, nobody knows what the stems were
        made from, and nothing is noted. Raises `AudioWriteError`.
        """
        if state is None or state != file_state(source):
            return
        names = [self._name(path) for path in dict.fromkeys(paths)]
        stems = {name: stamp for name in names if (stamp := file_stamp(self._folder / name)) is not None}
        entry = Entry(state, self._settings, stems)
        with self._lock:
            append_entry(self._path, entry)
            self._latest |= dict.fromkeys(stems, entry)

    def _name(self, path: Path) -> str:
        return Path(os.path.relpath(path, self._folder)).as_posix()


def settings_of(options: BatchOptions, **more: object) -> tuple[object, ...]:
    """Everything that the bytes of the stems depend on, besides the source.

    ``more`` are the model's state and the separator's options. The number of files that are separated at a time, and
    whether existing ones are skipped, are left out because they do not change a single byte.
    """
    return (dataclasses.replace(options, jobs=1, skip_existing=False), *sorted(more.items()))


def settings_key(settings: object) -> str:
    """A short name for ``settings``; equal settings have equal names."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def file_state(source: Path) -> dict[str, Any] | None:
    """What identifies the file ``source``: its path, its size and when it last changed. None if it is not there."""
    try:
        status = source.stat()
    except (OSError, ValueError):
        return None
    return {"file": os.path.realpath(source), "bytes": status.st_size, "changed_ns": status.st_mtime_ns}


def is_done(
    latest: Mapping[str, Entry], source: Mapping[str, Any], settings: str, stems: Mapping[str, tuple[int, int] | None]
) -> bool:
    """Whether all ``stems`` were made from ``source`` with ``settings`` and have not changed since.

    ``stems`` gives the present size and modification time of each; None if it is not there.
    """
    for name, stamp in stems.items():
        entry = latest.get(name)
        if entry is None or stamp is None or entry.source != source or entry.settings != settings:
            return False
        n_bytes, written_ns = entry.stems[name]
        if stamp[0] != n_bytes or not is_same_time(written_ns, stamp[1]):
            return False
    return True


def is_same_time(written_ns: int, now_ns: int) -> bool:
    """Whether a file with the time ``now_ns`` may have been written at ``written_ns`` and copied with its time."""
    tolerance = next((off for step, off in TIME_STEPS_NS if now_ns % step == 0), 0)
    return abs(now_ns - written_ns) <= tolerance


def append_entry(path: Path, entry: Entry) -> None:
    """Append ``entry`` to the journal ``path``, and wait until it is on the disk. Raises `AudioWriteError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
            is_cut_off = bool(end) and file.read(1) != b"\n"
            file.write(b"\n" * is_cut_off + entry.line().encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AudioWriteError(f"cannot write {path}: {reason(error)}") from error


def read_journal(folder: Path) -> Iterator[Entry]:
    """The entries of the journal in ``folder``; none if there is no journal or it cannot be read."""
    path = folder / FILE
    try:
        raw = path.read_bytes() if path.is_file() else b""  # a pipe of that name would be waited for
    except (OSError, ValueError):
        return iter(())
    return parse_lines(raw)


def parse_lines(raw: bytes) -> Iterator[Entry]:
    """The entries of a journal; lines that were cut off or damaged, or that another version wrote, are left out."""
    for line in raw.decode("utf-8", "replace").splitlines():
        try:
            fields = json.loads(line)
            stems = {str(name): (int(n_bytes), int(time)) for name, (n_bytes, time) in fields.pop("stems").items()}
            yield Entry(source=fields, settings=fields.pop("settings"), stems=stems)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue


def names_below(entries: Iterable[Entry]) -> Iterator[str]:
    """The names of all stems within the journal's folder, without ``.`` and ``..``.

    No journal of ours speaks of files elsewhere; one that came with a stranger's songs must not hide the user's.
    """
    for entry in entries:
        for name in map(posixpath.normpath, entry.stems):
            if not name.startswith(("/", "../")) and name != ".." and not os.path.splitdrive(name)[0]:
                yield name


def latest_by_stem(entries: Iterable[Entry]) -> dict[str, Entry]:
    """The last entry about each stem."""
    return {name: entry for entry in entries for name in entry.stems}


def file_stamp(path: Path) -> tuple[int, int] | None:
    """Size and modification time of a file, in bytes and nanoseconds; None if it is not there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns
