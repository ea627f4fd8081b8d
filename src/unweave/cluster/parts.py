"""The journal of a store, where nothing can be appended: objects that can be read beside a sorted listing.

Each object, a part, has the lines of at most a minute. Its name begins with that of the first song in it, so that parts
are listed in the order of the songs: whoever goes through a catalogue in order reads a part when its first song
comes, and drops it after its last, however many songs there are.
"""

from __future__ import annotations

import json
import posixpath
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from unweave.cluster.places import Place
from unweave.separation.journal import FILE, Entry, parse_lines

# "!" comes before digits and letters: in a listing the journal of a folder is met before the stems it speaks of.
PREFIX = "!unweave-journal-"
NAME = re.compile(r"!unweave-journal-([0-9a-f]*)\.(\d{20})-[0-9a-f]{8}\.jsonl")
AFTER_ALL = b"\xff"
N_BYTES = 100  # of the first song's name; a key has at most 1024


@dataclass(frozen=True)
class Part:
    """One object of the journal: when it was written, the last song in it, and its entries."""

    time: str
    last: bytes
    entries: tuple[Entry, ...]


class PartsInOrder:
    """The parts of ``target``'s journal about stretches of songs, each stretch further on than the last."""

    def __init__(self, target: Place) -> None:
        self.latest_ns = 0  # when the latest of the parts that were read was written, by the clock of its driver
        self._target = target
        self._names = target.files(prefix=PREFIX)
        self._next = next(self._names, None)
        # A journal of `unweave separate`, copied here with its stems. It has no order.
        copied = tuple(parse_lines(target.read(FILE) or b""))
        self._open = [Part("", AFTER_ALL, copied)] if copied else []

    def entries(self, first: str, last: str) -> Iterator[Entry]:
        """The entries that can be about songs from ``first`` to ``last``, the latest last."""
        self._open = [part for part in self._open if part.last >= sort_key(first)]
        while self._next is not None:
            lowest = lowest_song(self._next[0])
            if lowest is not None and lowest > sort_key(last):
                break
            if lowest is not None:  # or it is something else, such as a copy of a part
                self._read(self._next[0])
            self._next = next(self._names, None)
        for part in sorted(self._open, key=lambda part: part.time):
            yield from part.entries

    def _read(self, name: str) -> None:
        raw = self._target.read(name) or b""
        found = NAME.fullmatch(name)
        if found:
            self.latest_ns = max(self.latest_ns, int(found[2]))
            self._open.append(Part(found[2], _last_song(raw), tuple(parse_lines(raw))))


def new_part(entries: Mapping[str, Entry], after_ns: int = 0) -> tuple[str, bytes]:
    """A name that no other part has, and the lines of a part about ``entries``, by song.

    It counts as later than the parts of ``after_ns``, even if the clock of whoever wrote those was ahead of ours: their
    entries would otherwise hide what is done now, and every run would do it again until our clock has come so far.
    The first line names the last song. As it has no stems, it is no entry for those who read journals.
    """
    names = sorted(entries, key=sort_key)
    lowest = sort_key(names[0])[:N_BYTES].hex()
    lines = [json.dumps({"last": names[-1]}) + "\n", *(entries[name].line() for name in names)]
    written_ns = max(time.time_ns(), after_ns + 1)
    return f"{PREFIX}{lowest}.{written_ns:020}-{uuid.uuid4().hex[:8]}.jsonl", "".join(lines).encode()


def _last_song(raw: bytes) -> bytes:
    try:
        return sort_key(json.loads(raw.partition(b"\n")[0])["last"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return AFTER_ALL


def lowest_song(part: str) -> bytes | None:
    """What no song in the part of this name comes before; None for the name of something else."""
    found = NAME.fullmatch(part)
    return bytes.fromhex(found[1]) if found and len(found[1]) % 2 == 0 else None


def sort_key(name: str) -> bytes:
    """By this, names are in the order of a listing."""
    return name.encode("utf-8", "surrogatepass")


def is_journal(name: str) -> bool:
    """Whether ``name`` is a journal's or a part's, in whatever folder."""
    base = posixpath.basename(name)
    return base == FILE or NAME.fullmatch(base) is not None


def journals_at(place: Place) -> list[str]:
    """The journal and the parts that lie in the folder itself."""
    here = [FILE] if place.stamp(FILE) is not None else []
    return [*here, *(name for name, _ in place.files(prefix=PREFIX))]


def by_stem(entries: Iterable[Entry], wanted: set[str]) -> Mapping[str, Entry]:
    """The last entry about each of the stems that are ``wanted``."""
    return {name: entry for entry in entries for name in entry.stems if name in wanted}
