"""The rule of Windows that nothing is removed or renamed while it is open, for tests on Linux."""

import os
from contextlib import contextmanager
from pathlib import Path
from unittest import mock


def open_paths():
    """The paths of all files that this process holds open."""
    paths = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            paths.add(os.readlink(f"/proc/self/fd/{descriptor}").removesuffix(" (deleted)"))
        except OSError:
            continue
    return paths


def open_elsewhere(path=None):
    """What Windows says of a file that another program has open."""
    error = PermissionError(13, "The process cannot access the file because it is being used by another process", path)
    error.winerror = 32
    return error


def _refusing(function):
    def guarded(path, *rest, **options):
        # Names below an open folder are relative to its descriptor.
        folder = options.get("dir_fd", options.get("src_dir_fd"))
        base = os.readlink(f"/proc/self/fd/{folder}") if folder is not None else os.getcwd()
        for given in (path, *rest[:1]):  # of a renaming, what is replaced counts as well
            target = os.path.join(base, os.fspath(given))
            if target.endswith(".part"):  # which its own writer closes first where that is needed
                continue
            if any(
                each == target or each.startswith(f"{target}{os.sep}") for each in open_paths() if Path(each).is_file()
            ):
                raise open_elsewhere(target)
        return function(path, *rest, **options)

    return guarded


@contextmanager
def windows_rules():
    """Inside, `os.unlink`, `os.rename` and `os.replace` refuse what is open, or holds what is open."""
    names = ("unlink", "remove", "rename", "replace")
    with mock.patch.multiple(os, **{name: _refusing(getattr(os, name)) for name in names}):
        yield
