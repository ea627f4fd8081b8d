"""The boxes ("atoms") of an MP4 file, as far as stem files need them (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class Readable(Protocol):
    """What is needed of a file that is open for reading."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def read(self, size: int = -1, /) -> bytes: ...


class Writable(Readable, Protocol):
    """What is needed of a file that is open for reading and writing."""

    def write(self, raw: bytes, /) -> int: ...


@dataclass(frozen=True)
class Atom:
    """One box: its type, and where it lies."""

    kind: bytes  # four characters
    start: int
    header_bytes: int
    stop: int


def read_atoms(file: Readable, start: int = 0, stop: int | None = None) -> Iterator[Atom]:
    """The boxes that follow each other from ``start``. Raises ValueError where they do not add up."""
    if stop is None:
        stop = file.seek(0, 2)
    while start < stop:
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            raise ValueError(f"an atom at byte {start} is cut off")
        size, kind = struct.unpack(">I4s", header[:8])
        n_header = 8
        if size == 1:
            (size,) = struct.unpack(">Q", header[8:16])
            n_header = 16
        elif size == 0:
            size = stop - start
        if size < n_header or start + size > stop:
            raise ValueError(f"the atom {kind!r} at byte {start} has an impossible size")
        yield Atom(kind, start, n_header, start + size)
        start += size


def find_atom(file: Readable, *path: bytes) -> Atom | None:
    """The first box at ``path``, such as ``b"moov", b"udta", b"stem"``."""
    found: Atom | None = None
    for kind in path:
        inside = read_atoms(file) if found is None else _children(file, found)
        found = next((atom for atom in inside if atom.kind == kind), None)
        if found is None:
            return None
    return found


def append_to_user_data(file: Writable, kind: bytes, payload: bytes, track: int | None = None) -> None:
    """Add a box to the ``udta`` of a finished file, or of its track number ``track``.

    The file's ``moov`` must come last, so that no offset changes; ValueError for any other file.
    """
    movie = find_atom(file, b"moov")
    if movie is None or movie.stop != file.seek(0, 2):
        raise ValueError("expected a file that ends with its moov atom")
    parents = [movie]
    if track is not None:
        tracks = [atom for atom in _children(file, movie) if atom.kind == b"trak"]
        parents.append(tracks[track])
    user_data = next((atom for atom in _children(file, parents[-1]) if atom.kind == b"udta"), None)
    box = _box(kind, payload)
    if user_data is None:
        box = _box(b"udta", box)
    else:
        parents.append(user_data)
    place = parents[-1].stop
    file.seek(place)
    rest = file.read()
    file.seek(place)
    file.write(box + rest)
    for atom in parents:
        file.seek(atom.start)
        file.write(struct.pack(">I", atom.stop - atom.start + len(box)))


def text_box(text: str) -> bytes:
    """The payload of a QuickTime text such as ``©nam``: its length, no language, UTF-8."""
    raw = text.encode()
    return struct.pack(">HH", len(raw), 0) + raw


def _children(file: Readable, atom: Atom) -> Iterator[Atom]:
    return read_atoms(file, atom.start + atom.header_bytes, atom.stop)


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload
