"""Which file a path leads to, whatever it is called: relative or absolute, by a link, in another case."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from unweave.audio.sources import reason
from unweave.errors import AudioWriteError

NAME_MAX = 255  # bytes or letters in a file's name, where the system does not say
COUNTS_LETTERS = sys.platform in ("win32", "darwin")  # where a name in Korean may be as long as one in English

FileIdentity = tuple[int, int | str]


def identity(path: Path) -> FileIdentity | None:
    """Device and number of the file behind ``path``; None where there is none, or where nobody may look.

    Some drives of Windows (Google's, and those of WinFsp) call every file number 0: there its name stands for it.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino or os.path.normcase(os.path.realpath(path))


def check_target(path: Path) -> None:
    """Raise `AudioWriteError` for a path that can never be written: too long a name, or a folder that is closed."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        raise AudioWriteError(f"cannot write {path}: {reason(error)}") from error
    longest = _longest_name(nearest_folder(path))
    for part in path.parts:
        length = len(part) if COUNTS_LETTERS else len(os.fsencode(part))
        if length > longest and part != path.anchor:
            raise AudioWriteError(f"cannot write {path}: its name is too long")


def nearest_folder(path: Path) -> Path:
    """The folder of ``path``, or the nearest one above it that exists."""
    for folder in Path(os.path.abspath(path)).parents:
        try:
            if folder.is_dir():
                return folder
        except OSError:
            continue
    return Path()


def key_of(path: Path) -> str:
    """``path`` without links and detours in its folder; the file itself need not exist."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def are_one_name(first: Path, second: Path) -> bool:
    """Whether two paths that differ in case or in Unicode's composition are the same file on their file system.

    It is tried out, in a temporary folder beside them that is removed again. Where that cannot be done they count as
    the same: nothing could be written there either.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".unweave-", dir=nearest_folder(first)) as temporary:
            for one, other in zip(Path(key_of(first)).parts, Path(key_of(second)).parts, strict=False):
                if one != other:
                    (Path(temporary) / one).touch()
                    if not (Path(temporary) / other).exists():
                        return False
    except OSError:
        return True
    return True


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return NAME_MAX
