"""Which files a run is about: those that were named, and the audio files in folders."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from unweave.audio.recognise import is_audio_file, is_audio_name
from unweave.audio.sources import reason
from unweave.errors import AudioReadError
from unweave.separation.identity import identity
from unweave.separation.journal import FILE, names_below, read_journal
from unweave.separation.outcome import Task

# Where Linux, macOS, Windows and network drives keep what was deleted, and Windows what nobody may open. Other names
# with a dot in front may be those of albums: "...And Justice for All".
DELETED = re.compile(r"\.trash(es|-\d+)?|\.recycle|[#@]recycle|\$recycle\.bin|system volume information", re.IGNORECASE)


def find_tasks(sources: Iterable[Path], output_folder: Path, *, recursive: bool = False) -> list[Task]:
    """Files as they are; folders as the audio files in them, with ``recursive`` in all folders below as well.

    Below a folder the tree is kept: ``album/disc 1/song.mp3`` goes to ``output/disc 1/…``. Links to folders are
    followed, each folder once. Left out are folders in which drives keep what was deleted, the output folder, and all
    stems that a journal speaks of. A folder that cannot be opened, or has no audio file, becomes a task with an error;
    if nothing else was asked for, that `AudioReadError` is raised.
    """
    tasks = []
    ours = _Ours(output_folder)
    for source in sources:
        if not _is_folder(source):
            tasks.append(Task(source, output_folder))
            continue
        found = list(_search(source, output_folder, ours, recursive))
        tasks += found or [Task(source, output_folder, _nothing_found(source, ours, recursive))]
    if len(tasks) == 1 and tasks[0].error is not None:
        raise tasks[0].error
    return tasks


class _Ours:
    """The files that journals say unweave has written, and whether any of them were passed over."""

    def __init__(self, output_folder: Path) -> None:
        self._paths: set[str] = set()
        self.has_passed_over = False
        self.add(output_folder)

    def add(self, folder: Path) -> None:
        """Take in the journal of ``folder``, if there is one."""
        root = os.path.realpath(folder)
        paths = (os.path.normpath(os.path.join(root, name)) for name in names_below(read_journal(folder)))
        # On Windows backslashes lead out of the folder as well.
        self._paths.update(path for path in paths if path.startswith(os.path.join(root, "")))

    def has(self, path: Path) -> bool:
        """Whether ``path`` is one of them."""
        if not self._paths or os.path.join(os.path.realpath(path.parent), path.name) not in self._paths:
            return False
        self.has_passed_over = True
        return True


def _search(folder: Path, output_folder: Path, ours: _Ours, recursive: bool) -> Iterator[Task]:
    left_out = {identity(above) for above in Path(os.path.realpath(folder)).parents}
    if identity(output_folder) != identity(folder):
        left_out.add(identity(output_folder))
    waiting, links = [folder], list[Path]()
    while waiting or links:
        # Links last, so that a folder is known by its own path if it has one here.
        here = waiting.pop() if waiting else links.pop()
        if identity(here) in left_out:
            continue
        left_out.add(identity(here))
        try:
            entries = sorted(here.iterdir())
        except OSError as error:
            yield Task(here, output_folder, AudioReadError(f"cannot open the folder {here}: {reason(error)}"))
            continue
        if any(entry.name == FILE for entry in entries):
            ours.add(here)
        below = (entry for entry in entries if not DELETED.fullmatch(entry.name)) if recursive else ()
        folders = [entry for entry in below if _is_folder(entry)]
        waiting += reversed([entry for entry in folders if not entry.is_symlink()])
        links += reversed([entry for entry in folders if entry.is_symlink()])
        for entry in entries:
            if is_audio_name(entry.name) and _is_file(entry) and not ours.has(entry) and is_audio_file(entry):
                yield Task(entry, output_folder / here.relative_to(folder))


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)  # `Path.is_file` hides faults since Python 3.14
    except OSError as error:  # a link that leads nowhere is no file; of other faults its reader says what is wrong
        return error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or a folder around it that is closed: its reader says so
        return False


def _nothing_found(folder: Path, ours: _Ours, recursive: bool) -> AudioReadError:
    hint = "" if recursive else " (its subfolders are searched with --recursive)"
    if ours.has_passed_over:
        hint = " other than stems that unweave wrote; to separate those, name the files"
    return AudioReadError(f"no audio files in the folder {folder}{hint}")
