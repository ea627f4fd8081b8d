"""Folders that can tell whether they are what was written."""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import google_crc32c

from unweave.errors import ModelError
from unweave.files import patiently

log = logging.getLogger(__name__)

SEAL = "seal.json"
FILLING = ".filling-"  # how the names of folders begin that are being filled
ABANDONED_SECONDS = 24 * 3600.0  # in which nothing was written to such a folder
UNUSED_DAYS = 60
RENAME_EXCHANGE = 2  # of linux/fs.h

_temporary: dict[Path, Path] = {}  # the folder that was wanted → the one that was filled instead
_turn = threading.Lock()


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """An empty folder in ``parent``, to be filled before it is given its name; at the end it is gone. Raises OSError.

    What killed processes left there, which may be gigabytes, goes first.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    # What Windows does not remove, because whoever failed has it open still, goes a day later.
    with tempfile.TemporaryDirectory(dir=parent, prefix=FILLING, ignore_cleanup_errors=True) as temporary:
        staged = Path(temporary) / "folder"
        staged.mkdir()
        yield staged


def replace_folder(staged: Path, target: Path) -> None:
    """Give the folder ``staged`` the name ``target``. An older folder of that name goes only once that is done.

    On Linux there is a folder of that name at every moment; elsewhere, and on file systems that cannot exchange names,
    there is none between two renamings. Of several processes that do so at once, the last one wins. Raises OSError.
    """
    if _exchanged(staged, target):
        shutil.rmtree(staged, ignore_errors=True)  # what was there before
        return
    old = staged.with_name(f"{staged.name}-old")
    is_done = False
    while not is_done:
        with suppress(FileNotFoundError):
            patiently(target.rename, old)
        try:
            patiently(staged.rename, target)
            is_done = True
        except BaseException as error:
            if not (isinstance(error, OSError) and target.exists()):  # unless another process was faster
                if old.exists():
                    patiently(old.rename, target)
                raise
        shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two files or folders have been given each other's name, in one step (``renameat2`` of Linux)."""
    if sys.platform != "linux":
        return False
    import ctypes

    rename = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc has it since 2.28
    paths = [os.fsencode(path.absolute()) for path in (one, other)]
    return rename is not None and rename(0, paths[0], 0, paths[1], RENAME_EXCHANGE) == 0


def sealed_folder(folder: Path, fill: Callable[[Path], None], *, keeps_unused: bool = False) -> Path:
    """``folder``, filled by ``fill`` if it is not there yet or is not as it was sealed.

    It is filled under another name, sealed with the length and CRC32C of each file, and renamed; of two processes that
    do so at once, one wins. Those beside it that nobody has used for `UNUSED_DAYS` are removed then, as networks of
    older versions or other models, which can be made again; with ``keeps_unused`` they stay. Raises OSError.
    """
    if is_sealed(folder):
        with suppress(OSError):  # only others may write it; most file systems note that it was read
            os.utime(folder / SEAL)
        return folder
    with staging_folder(folder.parent) as staged:
        if not keeps_unused:
            _remove_unused(folder.parent)
        fill(staged)
        seal(staged)
        if folder.exists() and not is_sealed(folder):
            shutil.rmtree(folder)
        try:
            patiently(staged.rename, folder)
        except OSError:
            if not is_sealed(folder):  # unless another process was faster
                raise
    return folder


def _remove_abandoned(parent: Path) -> None:
    """Remove what processes that were killed have left half filled: decoded music may be all that a disk can hold."""
    for left in parent.glob(f"{FILLING}*"):
        try:
            latest = max(path.lstat().st_mtime for path in (left, *left.rglob("*")))
        except OSError:  # somebody removes it right now
            continue
        if time.time() - latest > ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
            log.info("removed %s, which nobody has written to for a day", left)


def _remove_unused(parent: Path) -> None:
    latest = time.time() - UNUSED_DAYS * 24 * 3600
    for folder in parent.iterdir():
        with suppress(OSError):
            used = (folder / SEAL).stat()
            if max(used.st_atime, used.st_mtime) < latest:
                shutil.rmtree(folder)


def sealed_or_temporary_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """As `sealed_folder`; where ``folder`` cannot be written, one of this process's own, which goes when it ends.

    A warning says so. Raises OSError where something else than a folder is in the way, and where there is no room for
    temporary files either.
    """
    try:
        return sealed_folder(folder, fill)
    except (NotADirectoryError, FileExistsError):
        raise
    except OSError as error:
        with _turn:
            known = _temporary.get(folder)
            if known is None or not is_sealed(known):
                # Not a folder of a known name in /tmp: another user could have put something into that before.
                private = Path(tempfile.mkdtemp(prefix="unweave-"))
                atexit.register(_remove, private, os.getpid())
                known = _temporary[folder] = sealed_folder(private / folder.name, fill)
                log.warning(
                    "the cache %s cannot be written (%s): the network is kept in %s until the program ends; "
                    "set UNWEAVE_CACHE to a writable folder",
                    folder.parent,
                    error.strerror or error,
                    private,
                )
            return known


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child inherits the registration, but not the folder
        shutil.rmtree(folder, ignore_errors=True)


def seal(folder: Path) -> None:
    """Note the length and CRC32C of each file in ``folder``, for `is_sealed`. Raises OSError."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
    contents = {path.relative_to(folder).as_posix(): [path.stat().st_size, file_crc32c(path)] for path in files}
    (folder / SEAL).write_text(json.dumps(contents))


def is_sealed(folder: Path) -> bool:
    """Whether ``folder`` holds what it was sealed with."""
    try:
        seal = json.loads((folder / SEAL).read_text())
        return bool(seal) and all(
            (folder / name).stat().st_size == size and file_crc32c(folder / name) == crc
            for name, (size, crc) in seal.items()
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 16):
            digest.update(block)
    return digest.hexdigest()


def file_crc32c(path: Path) -> int:
    """The CRC32C of a file."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = google_crc32c.extend(checksum, block)
    return checksum


def kept_network_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """As `sealed_or_temporary_folder`, for networks made from weights. Raises `ModelError` instead of OSError."""
    try:
        return sealed_or_temporary_folder(folder, fill)
    except OSError as error:
        raise ModelError(
            f"cannot save the converted network in {folder.parent}: {error.strerror}. "
            "Set UNWEAVE_CACHE to a writable folder"
        ) from error
