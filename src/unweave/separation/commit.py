"""Finished files take their names together; when one cannot, all is as it was before."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from unweave.audio.sources import reason
from unweave.errors import AudioWriteError
from unweave.files import patiently

log = logging.getLogger(__name__)


class Writer(Protocol):
    """A file that waits under a hidden name."""

    path: Path

    @property
    def temporary(self) -> Path | None:
        """Where it is until `commit`; None afterwards."""

    def commit(self) -> None:
        """Give it its name ``path``. Raises `AudioWriteError`."""


def commit_together(writers: Sequence[Writer]) -> None:
    """Commit all ``writers``, which are finished, or none: what lay under their names before comes back.

    The old files are kept beside the new ones until all new ones are in place, under hidden names that end as those of
    temporary files do: if the process is killed in between, the next run removes them. Raises `AudioWriteError`.
    """
    kept: dict[Path, Path] = {}  # a path → the old file that lay there
    begun: list[Writer] = []
    locks = ExitStack()
    try:
        for writer in writers:
            if os.path.lexists(writer.path):
                kept[writer.path] = _keep(writer)
                locks.enter_context(_locked(kept[writer.path]))
        for writer in writers:
            begun.append(writer)
            writer.commit()
    except BaseException:
        for writer in begun:
            if not _is_waiting(writer):
                _put_back(writer.path, kept)
        raise
    finally:
        for old in kept.values():
            with suppress(OSError):
                old.unlink(missing_ok=True)
        locks.close()


def _is_waiting(writer: Writer) -> bool:
    """Whether a file still has its hidden name, so that nothing has happened to the one that it was to replace.

    That one may be what is in the way: Windows replaces nothing that a player has open, not even by itself.
    """
    return writer.temporary is not None and os.path.exists(writer.temporary)


def _put_back(path: Path, kept: dict[Path, Path]) -> None:
    """Make ``path`` what it was; an old file that cannot be put back stays under its hidden name."""
    try:
        if path in kept:
            patiently(os.replace, kept[path], path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        old = kept.pop(path, None)
        log.error("%s could not be restored: %s%s", path, reason(error), f"; it is in {old}" if old else "")


def _keep(writer: Writer) -> Path:
    """A second name for the file that ``writer`` is about to replace, or a copy where there are no second names."""
    assert writer.temporary is not None
    old = writer.temporary.with_name(f"{writer.temporary.stem}-old{writer.temporary.suffix}")
    try:
        if os.link in os.supports_follow_symlinks:
            os.link(writer.path, old, follow_symlinks=False)
        else:
            os.link(writer.path, old)
    except OSError:
        try:
            shutil.copy2(writer.path, old, follow_symlinks=False)
        except OSError as error:
            with suppress(OSError):
                old.unlink(missing_ok=True)  # half a copy, for lack of room
            raise AudioWriteError(f"cannot write {writer.path}: {reason(error)}") from error
    return old


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep ``path`` locked, where that is possible, so that no other process takes it for a dead one's remains."""
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(stack.enter_context(path.open("rb")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
