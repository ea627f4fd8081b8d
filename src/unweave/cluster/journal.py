"""What was done of a catalogue: the journal of `unweave.separation.journal`, on this machine or in a store."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from unweave.cluster.places import Place, Stamp
from unweave.cluster.songs import Song, is_journal
from unweave.errors import AudioWriteError
from unweave.separation.journal import FILE, Entry, append_entry, is_done, latest_by_stem, parse_lines, read_journal

log = logging.getLogger(__name__)

SECONDS_BETWEEN_PARTS = 60.0  # in a store: what a run that is killed may have to do again


class CatalogueJournal:
    """The finished songs of a target.

    On this machine it is the file that ``unweave separate`` writes as well, a line per song. A store cannot append:
    there each minute's lines are an object of their own.
    """

    def __init__(self, source: Place, target: Place, settings: str) -> None:
        self._source = source
        self._target = target
        self._settings = settings
        self._listing = {} if target.is_local else target.listing()
        self._sources = {} if source.is_local else source.listing()
        self._latest = latest_by_stem(self._entries())
        self._waiting: list[Entry] = []
        self._written = time.monotonic()

    def is_done(self, song: Song) -> bool:
        """Whether the stems of ``song`` are there, made from it as it is now, with these settings, and untouched."""
        stamp = self._sources.get(song.name)
        state = self._source.state_of(song.name, stamp) if stamp else self._source.state(song.name)
        look = self._target.stamp if self._target.is_local else self._listing.get
        stamps = {name: look(name) for name in song.stems.values()}
        return state is not None and is_done(self._latest, state, self._settings, stamps)

    def record(self, state: Mapping[str, Any], stems: Mapping[str, Stamp]) -> None:
        """Note that the source of ``state`` was separated into ``stems``. Raises `AudioWriteError`."""
        entry = Entry(state, self._settings, stems)
        if self._target.is_local:
            append_entry(self._target.local_folder / FILE, entry)
            return
        self._waiting.append(entry)
        if time.monotonic() - self._written > SECONDS_BETWEEN_PARTS:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Raises `AudioWriteError`."""
        if self._waiting:
            stem, _, extension = FILE.rpartition(".")
            # Names in the order of time, so that of two lines on one stem the later one is read last.
            part = f"{stem}-{time.time_ns():020}-{uuid.uuid4().hex[:8]}.{extension}"
            self._target.write(part, "".join(entry.line() for entry in self._waiting).encode())
            self._waiting.clear()
        self._written = time.monotonic()

    def close(self) -> None:
        """Write what waits; a warning tells where that fails, for the stems are there all the same."""
        try:
            self.flush()
        except AudioWriteError as error:
            log.warning("the next run will separate some songs again: %s", error)

    def _entries(self) -> Iterator[Entry]:
        if self._target.is_local:
            yield from read_journal(self._target.local_folder)
            return
        parts = [name for name in self._listing if "/" not in name and is_journal(name)]
        for name in sorted(parts, key=lambda name: (name != FILE, name)):
            yield from parse_lines(self._target.read(name))
