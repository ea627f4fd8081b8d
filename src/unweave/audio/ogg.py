"""Chained Ogg files: several streams one after another in a file, as recorded web radio and ``cat`` make them.

Each link of a chain may have another codec, rate and number of channels, and its own delay and padding (RFC 3533,
section 4; RFC 7845, section 7). FFmpeg gives up where the parameters change, so the links are read one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MAGIC = b"OggS"
BEGINS = 2  # the flag of a logical stream's first page
PAGE_HEADER_BYTES = 27


class Seekable(Protocol):
    """What is needed of a file."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Link:
    """The bytes of a file that can be read on their own; ``stop`` None: to the end."""

    start: int = 0
    stop: int | None = None


WHOLE = Link()


def find_links(file: Seekable) -> tuple[Link, ...]:
    """The links of an Ogg file, at least one; damaged pages belong to the link in which they lie."""
    starts: list[int] = []
    position, size, in_headers = 0, file.seek(0, 2), False
    while position + PAGE_HEADER_BYTES <= size:
        file.seek(position)
        header = file.read(PAGE_HEADER_BYTES + 255)
        if header[:5] != MAGIC + b"\0":
            position = _next_page(file, position + 1)
            continue
        begins = bool(header[5] & BEGINS)
        if begins and not in_headers:  # streams side by side begin together, those of the next link after other pages
            starts.append(position)
        in_headers = begins
        n_parts = header[26]
        position += PAGE_HEADER_BYTES + n_parts + sum(header[PAGE_HEADER_BYTES : PAGE_HEADER_BYTES + n_parts])
    if len(starts) < 2:
        return (WHOLE,)
    return tuple(Link(start, stop) for start, stop in zip([0, *starts[1:]], [*starts[1:], None], strict=True))


def _next_page(file: Seekable, position: int) -> int:
    """Where the next page begins after damaged bytes; the file's end if none does."""
    overlap = b""
    file.seek(position)
    while block := file.read(1 << 16):
        found = (overlap + block).find(MAGIC)
        if found >= 0:
            return position - len(overlap) + found
        overlap = (overlap + block)[-3:]
        position += len(block)
    return position
