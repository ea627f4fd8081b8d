"""Archives from strangers, read so that nothing in them can do harm.

Only regular files are given, under their bare names; a member whose name could lead elsewhere on any system is an
error, and so is an archive that is damaged or that unpacks to more than it may.
"""

from __future__ import annotations

import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path, PurePosixPath
from typing import IO

MAX_MEMBERS = 100_000
BLOCK_BYTES = 1 << 16
# Entries of a tar file that tell more about the one behind them. Python reads them whole, and a name is never so long.
EXTENSIONS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
MAX_EXTENSION_BYTES = 1 << 20
ENTRY_BYTES = 1 << 14  # that an entry may take beside its file

# What the standard library raises for damaged, truncated, encrypted and exotic archives.
DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error,
    NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip


class ArchiveError(Exception):
    """An archive that is damaged, or holds what it must not; the message, about "it", goes behind its name."""


@dataclass(frozen=True)
class Member:
    """A regular file in an archive."""

    folder: PurePosixPath
    name: str  # without folders
    size: int  # bytes, as the archive says
    open: Callable[[], IO[bytes]]


@contextmanager
def damage_told() -> Iterator[None]:
    """Turns whatever a damaged archive raises inside into `ArchiveError`; OSError, a fault of the disk, passes."""
    try:
        yield
    except ArchiveError:
        raise
    except DAMAGE as error:
        # The first line; tarfile goes on to list why the file is of none of the kinds of archive that it knows.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(": ")
        raise ArchiveError(f"it is not an archive, or is damaged: {reason[:200]}") from error


def members(origin: Path, max_bytes: int) -> Iterator[Member]:
    """The regular files in the zip or tar file ``origin``, each to be read before the next is asked for.

    Raises `ArchiveError`, also for archives whose members have more than ``max_bytes`` together, and OSError.
    """
    if origin.exists() and not origin.is_file():  # a pipe or a device may never end
        raise ArchiveError("it is not a file")
    with damage_told():
        total = 0
        is_zip = zipfile.is_zipfile(origin)
        for number, member in enumerate(_zipped(origin) if is_zip else _tarred(origin, max_bytes)):
            total += max(member.size, 0)
            if total > max_bytes or number >= MAX_MEMBERS:
                raise _too_much()
            yield member


def copy_limited(stream: IO[bytes] | GzipFile, out: IO[bytes], max_bytes: int) -> int:
    """Copy ``stream`` to ``out``; returns the number of bytes. Raises `ArchiveError` for more than ``max_bytes``."""
    copied = 0
    while block := stream.read(BLOCK_BYTES):
        copied += len(block)
        if copied > max_bytes:
            raise ArchiveError("it unpacks to more bytes than it says")
        out.write(block)
    return copied


def _zipped(origin: Path) -> Iterator[Member]:
    with zipfile.ZipFile(origin) as archive:
        for info in archive.infolist():
            kind = info.external_attr >> 28  # the file type of Unix, where the archive knows it
            if not info.is_dir() and kind in (0, 8):
                path = _checked(info.orig_filename)
                yield Member(path.parent, path.name, info.file_size, lambda info=info: archive.open(info))  # type: ignore[misc]


def _too_much() -> ArchiveError:
    return ArchiveError("it unpacks to more data than a model can have")


class _Entry(tarfile.TarInfo):
    """An entry of a tar file. `tarfile` says of this method that subclasses may override it."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in EXTENSIONS and self.size > MAX_EXTENSION_BYTES:
            raise _too_much()
        told: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return told


def _tarred(origin: Path, max_bytes: int) -> Iterator[Member]:
    with tarfile.open(origin, tarinfo=_Entry) as archive:
        for number, info in enumerate(archive):
            path = _checked(info.name)
            # What is no file counts as well: it has to be unpacked to come to what is behind it.
            if number >= MAX_MEMBERS or info.offset_data > max_bytes + (number + 1) * ENTRY_BYTES:
                raise _too_much()
            if not info.isfile():
                continue

            def opened(info: tarfile.TarInfo = info) -> IO[bytes]:
                stream = archive.extractfile(info)
                assert stream is not None, "a regular file"
                return stream

            yield Member(path.parent, path.name, info.size, opened)


def _checked(name: str) -> PurePosixPath:
    """The path of a member; its folders are never used for writing."""
    if "\\" in name or re.match(r"[A-Za-z]:", name) or not name.isprintable():
        raise ArchiveError(f"it contains a path for another operating system, {name[:80]!a}")
    return PurePosixPath(name)
