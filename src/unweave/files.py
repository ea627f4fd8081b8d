"""Files that are there whole or not at all: written beside their target, and renamed when they are finished."""

from __future__ import annotations

import logging
import os
import secrets
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import ParamSpec

P = ParamSpec("P")

log = logging.getLogger(__name__)

PREFIX = ".unweave-"  # then the system's running kernel, and random letters
SUFFIX = ".part"
# A file of another machine on a shared folder may be locked there without our knowing, so its age decides.
FOREIGN_SECONDS = 24 * 3600.0
SECONDS_UNTIL_CLOSED = 2.0  # how long Windows may say of a file that it is open elsewhere before that is an error
OPEN_ELSEWHERE = (5, 32)  # Windows' errors "access is denied" and "used by another process"


class PartFile:
    """A hidden file in the folder of ``path``: write to ``file``, then `commit` gives it the name ``path``.

    Its permissions are those of any new file: the system applies the umask, or the folder's rules, itself. While it is
    being written it is locked, so that `remove_orphans` can tell it from one whose process was killed. Without
    `commit`, `discard` removes it, or whatever ends the life of this object: an interrupt may come before anybody holds
    it. Raises OSError, also where ``path`` cannot be replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        file = None
        while file is None:
            self.temporary = path.parent / f"{PREFIX}{_kernel()}-{secrets.token_hex(6)}{SUFFIX}"
            self._removal = weakref.finalize(self, _remove, self.temporary, os.getpid())
            file = _create(self.temporary)
        self.file = file

    def sync(self) -> None:
        """Have the system put the file's bytes on the disk."""
        os.fsync(self.file.fileno())

    def commit(self) -> None:
        """Give the file its name, over an older one. Afterwards `discard` does nothing."""
        if os.name == "nt":  # where an open file cannot be renamed
            self.file.close()
        patiently(os.replace, self.temporary, self.path)
        self._removal.detach()
        self.file.close()  # not before: nobody may take it for an orphan

    def discard(self) -> None:
        """Close and remove the file."""
        with suppress(OSError):
            self.file.close()
        _remove(self.temporary, os.getpid())
        self._removal.detach()  # not before: an interrupt may come between


def replace_file(path: Path, raw: bytes) -> None:
    """Write ``raw`` to ``path``: whoever reads it sees the old file, the whole new one, or none. Raises OSError."""
    part = PartFile(path)
    try:
        written = 0
        while written < len(raw):  # an unbuffered file may take a part
            written += part.file.write(raw[written : written + (1 << 30)])
        part.sync()
        part.commit()
    except BaseException:
        part.discard()
        raise


def patiently(action: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> None:
    """Rename or remove something by ``action``, which is tried again for a while where Windows finds it open elsewhere.

    Programs that look for viruses open whatever was just written, for a moment. Raises OSError.
    """
    limit = time.monotonic() + SECONDS_UNTIL_CLOSED
    while True:
        try:
            action(*arguments, **options)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in OPEN_ELSEWHERE:
                raise
            if time.monotonic() > limit:  # "access is denied", says Windows, of a song that is being played, too
                told = "another program has it open, or it may not be changed"
                raise PermissionError(error.errno, told, error.filename) from error
            time.sleep(0.02)


def remove_orphans(folders: Iterable[Path]) -> None:
    """Remove the part files that killed processes have left in ``folders``.

    A file that another process is writing is locked and stays, whatever container that process runs in: containers on
    one machine share its kernel, and with it the locks. Files of other machines stay for a day.
    """
    for folder in folders:
        with suppress(OSError):  # a folder that cannot be listed
            for path in list(folder.glob(f"{PREFIX}*{SUFFIX}")):
                with suppress(OSError):
                    _remove_if_orphan(path)


def _remove_if_orphan(path: Path) -> None:
    kernel = _kernel()
    if not kernel or not path.name.startswith(f"{PREFIX}{kernel}-"):
        if time.time() - path.stat().st_mtime > FOREIGN_SECONDS:
            path.unlink()
            log.info("removed %s, which nobody has written to for a day", path)
        return
    handle = os.open(path, os.O_RDWR)
    try:
        # It may have been renamed or replaced since it was listed.
        if _lock(handle) and os.path.samestat(os.fstat(handle), path.stat()):
            path.unlink()
    finally:
        os.close(handle)


def _create(path: Path) -> FileIO | None:
    """The new, locked file ``path``; None if it was removed meanwhile."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o666)
    _lock(handle, wait=True)  # `remove_orphans` may have it for a moment
    if path.exists():  # between its making and its locking it looked like an orphan, and may have been removed
        return FileIO(handle, "r+b")
    os.close(handle)
    return None


def _remove(path: Path, process: int) -> None:
    """Remove a part file of this process; a child that was forked has copies of its parent's objects."""
    if process == os.getpid():
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _lock(handle: int, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; False if the file system has no locks.

    If somebody else has it: False too, or with ``wait`` once they have closed it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _kernel() -> str:
    """A few letters that all processes on one running kernel share, in containers too; "" where none are known."""
    try:
        return sha256(Path("/proc/sys/kernel/random/boot_id").read_bytes()).hexdigest()[:8]
    except OSError:
        return ""
