"""Several audio files one after another in one, as recorded web radio and ``cat`` make them: the links of a chain.

Each link may have another codec, rate and number of channels, and its own delay and padding (for Ogg: RFC 3533,
section 4, and RFC 7845, section 7). FFmpeg gives up where an Ogg stream changes, misreads FLAC there, and reads only
the first of several WAV, AIFF, MP4, TTA, WavPack, WMA or FLV files, so the links are found here and read one by one.
Streams of frames that need no header (MP3, AAC, AC-3), Matroska and AVI can be read across their joints, and are not
chains.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unweave.audio.atoms import Readable, read_atoms
from unweave.audio.wav_header import W64_RIFF

OGG = b"OggS"
BEGINS = 2  # the flag of a logical stream's first page
PAGE_HEADER_BYTES = 27
# "fLaC" and the header of the block that must follow it, STREAMINFO, which is the last block or not (RFC 9639).
FLAC_STARTS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
# What no audio contains by chance: the beginnings of other kinds of file, all of one length for each kind.
BEGINNINGS = (
    FLAC_STARTS,
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),),  # ASF's header object: WMA
    tuple(b"FLV\x01" + flags + b"\0\0\0\x09\0\0\0\0" for flags in (b"\x04", b"\x05")),  # audio, audio and video
    (W64_RIFF,),
    (b"caff\0\x01\0\0desc",),
    tuple(b"MAC " + version + b"\0\0\x34\0\0\0" for version in (b"\x8c\x0f", b"\x96\x0f")),  # Monkey's Audio 3.98, 3.99
)
TTA_STARTS = (b"TTA1\x01\x00", b"TTA1\x02\x00")
SUN_HEADER_BYTES = 24
TTA_HEADER_BYTES = 22  # the last four are the checksum of the others
WAVPACK = b"wvpk"
WAVPACK_HEADER_BYTES = 32
INITIAL_BLOCK = 0x800  # the flag of the first block of several that belong to one moment
UNKNOWN_SIZE = 2**32 - 1
SCAN_BYTES = 1 << 20


@dataclass(frozen=True)
class Link:
    """The bytes of a file that can be read on their own; ``stop`` None: to the end."""

    start: int = 0
    stop: int | None = None


WHOLE = Link()


def find_links(file: Readable) -> tuple[Link, ...]:
    """The links of a file, at least one. Damaged bytes belong to the link in which they lie."""
    file.seek(0)
    head = file.read(16)
    if head.startswith(OGG):
        starts = _ogg_starts(file)
    elif head[:4] in (b"RIFF", b"RIFX", b"FORM"):
        starts = _chunk_starts(file, head)
    elif head.startswith(b".snd"):
        starts = _sun_starts(file, head)
    elif head[4:8] == b"ftyp":
        starts = _mp4_starts(file)
    elif head.startswith(WAVPACK):
        starts = _wavpack_starts(file)
    elif head.startswith(TTA_STARTS):
        starts = _starts_with(file, TTA_STARTS, _is_tta_header)
    else:
        known = next((patterns for patterns in BEGINNINGS if head.startswith(patterns)), None)
        starts = _starts_with(file, known) if known is not None else []
    if len(starts) < 2:
        return (WHOLE,)
    return tuple(Link(start, stop) for start, stop in zip([0, *starts[1:]], [*starts[1:], None], strict=True))


def _ogg_starts(file: Readable) -> list[int]:
    starts: list[int] = []
    position, size, in_headers = 0, file.seek(0, 2), False
    pages = _Search(file, OGG + b"\0")
    while position + PAGE_HEADER_BYTES <= size:
        file.seek(position)
        header = file.read(PAGE_HEADER_BYTES + 255)
        if header[:5] != OGG + b"\0":
            found = pages.first_from(position + 1)
            if found is None:
                break
            position = found
            continue
        begins = bool(header[5] & BEGINS)
        if begins and not in_headers:  # streams side by side begin together, those of the next link after other pages
            starts.append(position)
        in_headers = begins
        n_parts = header[26]
        position += PAGE_HEADER_BYTES + n_parts + sum(header[PAGE_HEADER_BYTES : PAGE_HEADER_BYTES + n_parts])
    return starts


def is_vorbis_of_one_page(file: Readable) -> bool:
    """Whether ``file`` is Ogg Vorbis whose sound lies in one page: FFmpeg then cuts its end off at a wrong place."""
    file.seek(0)
    first = file.read(PAGE_HEADER_BYTES + 8)  # whose one packet has one length
    if first[:4] != OGG or first[PAGE_HEADER_BYTES + 1 :] != b"\x01vorbis":
        return False
    position, n_pages = 0, 0
    while n_pages < 2:
        file.seek(position)
        header = file.read(PAGE_HEADER_BYTES + 255)
        if header[:4] != OGG or len(header) < PAGE_HEADER_BYTES:
            break
        n_pages += header[6:14] not in (bytes(8), b"\xff" * 8)  # headers have no place in time
        n_parts = header[26]
        position += PAGE_HEADER_BYTES + n_parts + sum(header[PAGE_HEADER_BYTES : PAGE_HEADER_BYTES + n_parts])
    return n_pages == 1


def _starts_with(
    file: Readable, patterns: tuple[bytes, ...], is_right: Callable[[Readable, int], bool] = lambda file, place: True
) -> list[int]:
    return [0, *(place for place in _places(file, patterns, 1) if is_right(file, place))]


def _is_tta_header(file: Readable, place: int) -> bool:
    file.seek(place)
    header = file.read(TTA_HEADER_BYTES)
    return len(header) == TTA_HEADER_BYTES and zlib.crc32(header[:-4]) == int.from_bytes(header[-4:], "little")


def _wavpack_starts(file: Readable) -> list[int]:
    """WavPack's blocks state their place in the file that they were made for."""
    starts: list[int] = []
    position: int | None = 0
    blocks = _Search(file, WAVPACK)
    while position is not None:
        file.seek(position)
        header = file.read(WAVPACK_HEADER_BYTES)
        if len(header) < WAVPACK_HEADER_BYTES:
            break
        if not header.startswith(WAVPACK):
            position = blocks.first_from(position + 1)
            continue
        n_bytes, upper, first, n_samples, flags = struct.unpack("<4xI2xBx4xIII4x", header)
        if n_samples and flags & INITIAL_BLOCK and first == upper == 0:
            starts.append(position)
        position += 8 + n_bytes
    return starts


def _chunk_starts(file: Readable, head: bytes) -> list[int]:
    """WAV and AIFF, whose first chunk states the length of all."""
    starts, start = [], head
    position = 0
    while len(start) >= 12 and start[:4] == head[:4] and start[8:12] == head[8:12]:
        starts.append(position)
        (n_bytes,) = struct.unpack("<I" if head[:4] == b"RIFF" else ">I", start[4:8])
        position += 8 + n_bytes + n_bytes % 2
        file.seek(position)
        start = file.read(12)
    return starts


def _sun_starts(file: Readable, head: bytes) -> list[int]:
    """Sun's AU, whose header states where its samples begin and how many bytes there are, if they were known."""
    starts, start, position = [], head, 0
    while len(start) >= 12 and start.startswith(b".snd"):
        starts.append(position)
        offset, n_bytes = struct.unpack(">II", start[4:12])
        if n_bytes == UNKNOWN_SIZE or offset < SUN_HEADER_BYTES:
            break
        position += offset + n_bytes
        file.seek(position)
        start = file.read(12)
    return starts


def _mp4_starts(file: Readable) -> list[int]:
    starts, is_whole = [], True  # an ftyp begins a file only after the other one's moov
    try:
        for atom in read_atoms(file):
            if atom.kind == b"ftyp" and is_whole:
                starts.append(atom.start)
                is_whole = False
            is_whole |= atom.kind == b"moov"
    except ValueError:  # cut off in the middle of an atom
        pass
    return starts


class _Search:
    """Looks for ``pattern`` further and further on in a file, whose bytes are read about once, whatever they are."""

    def __init__(self, file: Readable, pattern: bytes) -> None:
        self._file, self._pattern = file, pattern
        self._places: Iterator[int] = iter(())
        self._last: int | None = -SCAN_BYTES - 1

    def first_from(self, position: int) -> int | None:
        """The first place from ``position`` on, which is never less than before; None where there is none."""
        if self._last is not None and position - self._last > SCAN_BYTES:  # what lies between need not be searched
            self._places = _places(self._file, (self._pattern,), position)
            self._last = next(self._places, None)
        while self._last is not None and self._last < position:
            self._last = next(self._places, None)
        return self._last


def _places(file: Readable, patterns: tuple[bytes, ...], position: int) -> Iterator[int]:
    """All places from ``position`` on where one of ``patterns``, all of one length, lies; others may read meanwhile."""
    expression, overlap = re.compile(b"|".join(map(re.escape, patterns))), b""
    while True:
        file.seek(position)
        block = file.read(SCAN_BYTES)
        if not block:
            return
        joined = overlap + block
        for found in expression.finditer(joined):
            yield position - len(overlap) + found.start()
        position += len(block)
        overlap = joined[-(len(patterns[0]) - 1) :]
