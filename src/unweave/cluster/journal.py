"""What was done of a catalogue: the journal of `unweave.separation.journal`, on this machine or in a store."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from unweave.cluster.listing import Stamp
from unweave.cluster.parts import PartsInOrder, by_stem, new_part
from unweave.cluster.places import Place
from unweave.cluster.songs import Song
from unweave.errors import AudioWriteError
from unweave.separation.journal import FILE, Entry, append_entry, is_done, latest_by_stem, read_journal

log = logging.getLogger(__name__)

SECONDS_BETWEEN_PARTS = 60.0  # in a store: what a run that is killed may have to do again
SONGS_PER_PART = 1000
NAMES_BETWEEN = 1000  # a page of a listing: from here on it is cheaper to begin another further on


class CatalogueJournal(Protocol):
    """The finished songs of a target."""

    def finished(self, songs: Sequence[Song]) -> set[str]:
        """The names of those ``songs`` whose stems are there, made from them as they are now, and untouched.

        Each call is about songs that come after those of the last, in the order of their names.
        """

    def record(self, name: str, state: Mapping[str, Any], stems: Mapping[str, Stamp]) -> None:
        """Note that the song ``name``, which was in ``state``, was separated. Raises `AudioWriteError`."""

    def close(self) -> None:
        """Write what waits; a warning tells where that fails, for the stems are there all the same."""


def open_journal(source: Place, target: Place, settings: str) -> CatalogueJournal:
    """The journal of ``target``. Raises `AudioReadError` where the target cannot be reached."""
    return (FolderJournal if target.is_local else StoreJournal)(source, target, settings)


class FolderJournal:
    """On this machine: the file that ``unweave separate`` writes as well, a line per song. All of it is held."""

    def __init__(self, source: Place, target: Place, settings: str) -> None:
        self._source = source
        self._target = target
        self._settings = settings
        self._latest = latest_by_stem(read_journal(target.local_folder))

    def finished(self, songs: Sequence[Song]) -> set[str]:
        return {song.name for song in songs if self._is_done(song)}

    def _is_done(self, song: Song) -> bool:
        if not song.stems or any(stem not in self._latest for stem in song.stems.values()):
            return False
        state = self._source.state(song.name, song.stamp)
        stamps = {stem: self._target.stamp(stem) for stem in song.stems.values()}
        return state is not None and is_done(self._latest, state, self._settings, stamps)

    def record(self, name: str, state: Mapping[str, Any], stems: Mapping[str, Stamp]) -> None:
        append_entry(self._target.local_folder / FILE, Entry(state, self._settings, stems))

    def close(self) -> None:
        pass


class StoreJournal:
    """In a store: `parts`, read as the songs come."""

    def __init__(self, source: Place, target: Place, settings: str) -> None:
        self._source = source
        self._target = target
        self._settings = settings
        self._parts = PartsInOrder(target)
        self._waiting: dict[str, Entry] = {}
        self._written = time.monotonic()

    def finished(self, songs: Sequence[Song]) -> set[str]:
        wanted = {stem for song in songs for stem in song.stems.values()}
        latest = by_stem(self._parts.entries(songs[0].name, songs[-1].name), wanted)
        # Only where the journal has something is the target looked at.
        known = [song for song in songs if song.stems and latest.keys() >= set(song.stems.values())]
        stamps = self._stamps({stem for song in known for stem in song.stems.values()})
        return {song.name for song in known if self._is_done(song, latest, stamps)}

    def _is_done(self, song: Song, latest: Mapping[str, Entry], stamps: Mapping[str, Stamp]) -> bool:
        state = self._source.state(song.name, song.stamp)
        here = {stem: stamps.get(stem) for stem in song.stems.values()}
        return state is not None and is_done(latest, state, self._settings, here)

    def _stamps(self, stems: set[str]) -> dict[str, Stamp]:
        """Stamps of those ``stems`` that are there: of songs that follow one another, they lie in a few places.

        Between these (``{stem}/{filename}``) may lie all other stems of a catalogue, which are not gone through.
        """
        found: dict[str, Stamp] = {}
        left = deque(sorted(stems))
        while left:
            first, n_between = left.popleft(), 0
            if stamp := self._target.stamp(first):
                found[first] = stamp
            for name, stamp in self._target.files(after=first, until=left[-1]) if left else ():
                while left[0] < name:  # is not there
                    left.popleft()
                if left[0] == name:
                    found[left.popleft()] = stamp
                    n_between = 0
                else:
                    n_between += 1
                if n_between == NAMES_BETWEEN:
                    break
            else:
                break
        return found

    def record(self, name: str, state: Mapping[str, Any], stems: Mapping[str, Stamp]) -> None:
        self._waiting[name] = Entry(state, self._settings, stems)
        if len(self._waiting) >= SONGS_PER_PART or time.monotonic() - self._written > SECONDS_BETWEEN_PARTS:
            self._flush()

    def _flush(self) -> None:
        self._written = time.monotonic()
        if self._waiting:
            self._target.write(*new_part(self._waiting, self._parts.latest_ns))
            self._waiting.clear()

    def close(self) -> None:
        try:
            self._flush()
        except AudioWriteError as error:
            log.warning("the next run will separate some songs again: %s", error)
