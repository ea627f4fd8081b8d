"""Which songs of a catalogue are to be separated, and where their stems go: each name to one song only."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from unweave.audio.recognise import is_audio_name, is_doubtful
from unweave.cluster.places import Place, Stamp
from unweave.errors import AudioReadError, OptionError, UnweaveError
from unweave.separation.journal import FILE, parse_lines
from unweave.separation.outcome import Task
from unweave.separation.output import OutputOptions, file_label, relative_stem_paths
from unweave.separation.plan import Planner
from unweave.separation.search import find_tasks
from unweave.separation.templates import HERE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Song:
    """One file of a catalogue: its name below the source, its stems' names below the target, or why there are none."""

    name: str
    stems: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


def stem_targets(
    name: str, source: Place, target: Place, stems: Sequence[str], options: OutputOptions
) -> dict[str, str]:
    """Where the stems of ``name`` go below the target. Raises `OptionError`."""
    path = PurePosixPath(name)
    flavour = HERE if target.is_local else PurePosixPath
    below = relative_stem_paths(file_label(path), path.parent.name or source.label, stems, options, flavour)
    return {stem: posixpath.normpath(posixpath.join(path.parent, each.as_posix())) for stem, each in below.items()}


def find_songs(source: Place, target: Place, stems: Sequence[str], options: OutputOptions) -> list[Song]:
    """All audio files below ``source``, but not the stems that were written before; raises `AudioReadError` for none.

    A song that cannot be separated without destroying something has an error.
    """
    if source.is_local and target.is_local:
        return _here(source.local_folder, target.local_folder, stems, options)
    return _elsewhere(source, target, stems, options)


def _here(source: Path, target: Path, stems: Sequence[str], options: OutputOptions) -> list[Song]:
    if not source.is_dir():
        raise AudioReadError(f"there is no folder {source}")
    tasks = find_tasks([source], target, recursive=True)
    planner = Planner([task.source for task in tasks], stems, options)
    songs = []
    for task in tasks:
        name = task.source.relative_to(source).as_posix()
        try:
            paths = _paths(planner, task)
        except UnweaveError as error:
            songs.append(Song(name, error=str(error)))
            continue
        except Exception as error:  # whatever it is, it is this song's
            log.error("%s: unexpected error", name, exc_info=True)
            songs.append(Song(name, error=f"{type(error).__name__}: {error}"))
            continue
        if paths is not None:
            songs.append(Song(name, {stem: path.relative_to(target).as_posix() for stem, path in paths.items()}))
    return songs


def _paths(planner: Planner, task: Task) -> dict[str, Path] | None:
    if task.error is not None:
        raise task.error
    return planner.paths(task)


def _elsewhere(source: Place, target: Place, stems: Sequence[str], options: OutputOptions) -> list[Song]:
    names = _audio_names(source, target)
    if not names:
        raise AudioReadError(f"no audio files in {source.address}")
    inside = target.below(source)
    taken: dict[str, list[tuple[str, str]]] = {}  # a stem's name, whatever its case → stems and their songs
    songs = []
    for name in names:
        try:
            targets = stem_targets(name, source, target, stems, options)
            for stem in targets.values():
                if inside is not None and posixpath.join(inside, stem) in names:
                    raise OptionError(f"{name} was not separated: its stem would overwrite the input {stem}")
                for other, owner in taken.get(stem.casefold(), []):
                    if target.is_one_name(stem, other):
                        raise OptionError(f"{name} was not separated: {stem} is already taken by {owner}")
        except UnweaveError as error:
            songs.append(Song(name, error=str(error)))
            continue
        for stem in targets.values():
            taken.setdefault(stem.casefold(), []).append((stem, name))
        songs.append(Song(name, targets))
    return songs


def _audio_names(source: Place, target: Place) -> dict[str, Stamp]:
    """The audio files of a store, by name and in order; without the target, and without what journals speak of."""
    listing = source.listing()
    inside = target.below(source)
    ours = {
        posixpath.normpath(posixpath.join(posixpath.dirname(name), stem))
        for name in listing
        if is_journal(name)
        for entry in parse_lines(source.read(name))
        for stem in entry.stems
    }
    return {
        name: stamp
        for name, stamp in sorted(listing.items())
        if is_audio_name(posixpath.basename(name))
        and name not in ours
        and not (inside and name.startswith(f"{inside}/"))
        and (not is_doubtful(name) or source.begins_right(name))
    }


def is_journal(name: str) -> bool:
    """Whether ``name`` is a journal's, or a part of one in a store where nothing can be appended."""
    stem, _, extension = FILE.rpartition(".")
    base = posixpath.basename(name)
    return base == FILE or (base.startswith(f"{stem}-") and base.endswith(f".{extension}"))
