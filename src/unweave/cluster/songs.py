"""Which songs of a catalogue are to be separated, and where their stems go: each name to one song only."""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath
from string import Formatter

from unweave.audio.recognise import is_audio_name, is_doubtful
from unweave.cluster.listing import LAST, Stamp
from unweave.cluster.parts import is_journal, journals_at
from unweave.cluster.places import Place
from unweave.errors import AudioReadError, OptionError, UnweaveError
from unweave.separation.journal import names_below, parse_lines
from unweave.separation.outcome import Task
from unweave.separation.output import OutputOptions, file_label, relative_stem_paths
from unweave.separation.plan import Planner
from unweave.separation.search import find_tasks
from unweave.separation.templates import HERE

log = logging.getLogger(__name__)

PRECISION = re.compile(r"\.(\d+)s?$")  # the .40 of {filename:.40}


@dataclass(frozen=True)
class Song:
    """One file of a catalogue: its name below the source, its stems' names below the target, or why there are none."""

    name: str
    stems: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    stamp: Stamp | None = None  # where the listing told bytes and time


def stem_targets(
    name: str, source: Place, target: Place, stems: Sequence[str], options: OutputOptions
) -> dict[str, str]:
    """Where the stems of ``name`` go below the target.

    Raises `OptionError`, also for a key that is no path: ``..`` would lead out of the target, ``//`` to other stems.
    """
    if not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise OptionError(f"{name} was not separated: its name has '//', '.' or '..', which is no folder; rename it")
    path = PurePosixPath(name)
    flavour = HERE if target.is_local else PurePosixPath
    below = relative_stem_paths(file_label(path), path.parent.name or source.label, stems, options, flavour)
    return {stem: posixpath.normpath(posixpath.join(path.parent, each.as_posix())) for stem, each in below.items()}


def find_songs(source: Place, target: Place, stems: Sequence[str], options: OutputOptions) -> Iterator[Song]:
    """All audio files below ``source``, but not the stems that were written before; raises `AudioReadError` for none.

    A song that cannot be separated without destroying something has an error. From a store they come as a stream,
    in the order of their names, and what is held does not grow with their number, unless stems lie among the songs.
    """
    if source.is_local and target.is_local:
        yield from _here(source.local_folder, target.local_folder, stems, options)
        return
    song = None
    for song in _elsewhere(source, target, stems, options):
        yield song
    if song is None:
        raise AudioReadError(f"no audio files in {source.shown}")


def _here(source: Path, target: Path, stems: Sequence[str], options: OutputOptions) -> Iterator[Song]:
    if not source.is_dir():
        raise AudioReadError(f"there is no folder {source}")
    tasks = find_tasks([source], target, recursive=True)
    planner = Planner([task.source for task in tasks], stems, options)
    for task in tasks:
        name = task.source.relative_to(source).as_posix()
        try:
            paths = _paths(planner, task)
        except UnweaveError as error:
            yield Song(name, error=str(error))
            continue
        except Exception as error:  # whatever it is, it is this song's
            log.error("%s: unexpected error", name, exc_info=True)
            yield Song(name, error=f"{type(error).__name__}: {error}")
            continue
        if paths is not None:
            yield Song(name, {stem: path.relative_to(target).as_posix() for stem, path in paths.items()})


def _paths(planner: Planner, task: Task) -> dict[str, Path] | None:
    if task.error is not None:
        raise task.error
    return planner.paths(task)


def _elsewhere(source: Place, target: Place, stems: Sequence[str], options: OutputOptions) -> Iterator[Song]:
    ours = _Ours(source)
    owners = _Owners(target, options.filename_format)
    is_among = target.below(source) == ""
    for name, stamp in _outside(source, target):
        if is_journal(name):
            ours.add(name)
        if not is_audio_name(posixpath.basename(name)) or ours.has(name):
            continue
        if is_doubtful(name) and not source.begins_right(name):
            continue
        try:
            targets = stem_targets(name, source, target, stems, options)
            if is_among:
                _refuse_inputs(name, targets, source, ours)
            owners.take(name, targets)
        except UnweaveError as error:
            yield Song(name, error=str(error), stamp=stamp)
        else:
            yield Song(name, targets, stamp=stamp)


def _outside(source: Place, target: Place) -> Iterator[tuple[str, Stamp]]:
    """The files of ``source``, without those in ``target``, which are not even listed."""
    inside = target.below(source)
    if not inside:
        return source.files()
    return chain(source.files(until=f"{inside}/"), source.files(after=f"{inside}/{LAST}"))


def _refuse_inputs(name: str, targets: Mapping[str, str], source: Place, ours: _Ours) -> None:
    for stem in targets.values():
        if not ours.has(stem) and source.stamp(stem) is not None:
            raise OptionError(f"{name} was not separated: its stem would overwrite the input {stem}")


class _Ours:
    """The stems that journals among the songs speak of.

    The journals of the first folder are read at once, and those of other folders when the listing comes to them, which
    is before the stems: their names begin with a character that sorts before those of songs.
    """

    def __init__(self, source: Place) -> None:
        self._source = source
        self._stems: dict[str, set[str]] = {}  # by the folder of the journal
        self._read = set()
        for name in journals_at(source):
            self.add(name)
            self._read.add(name)

    def add(self, journal: str) -> None:
        """Take in ``journal``."""
        if journal in self._read:
            return
        folder = posixpath.dirname(journal)
        # Of the folders that the listing has left, nothing more can come.
        self._stems = {each: stems for each, stems in self._stems.items() if not each or _is_in(journal, each)}
        stems = self._stems.setdefault(folder, set())
        entries = parse_lines(self._source.read(journal) or b"")
        stems.update(posixpath.join(folder, name) for name in names_below(entries))

    def has(self, name: str) -> bool:
        """Whether unweave has written ``name``."""
        return any(name in stems for stems in self._stems.values())


def _is_in(name: str, folder: str) -> bool:
    return name.startswith(f"{folder}/")


class _Owners:
    """Whose stems have which names.

    In a store only songs of the same folder can want the same names, and only if their own names begin with the same
    characters, so that in a sorted listing an owner can be forgotten as soon as a name comes that begins differently.
    On this machine upper and lower case may be the same, and all owners are kept.
    """

    def __init__(self, target: Place, template: str) -> None:
        self._target = target
        self._n_characters = _characters_of_filename(template)
        self._owners: list[tuple[str, str, frozenset[str]]] = []  # beginning, song, stems; in a store
        self._taken: dict[str, list[tuple[str, str]]] = {}  # a stem's name in small letters → stems and songs; here

    def take(self, name: str, targets: Mapping[str, str]) -> None:
        """Give ``name`` its stems. Raises `OptionError` where another song has them."""
        if self._target.is_local:
            self._take_here(name, targets)
            return
        self._owners = [owner for owner in self._owners if name.startswith(owner[0])]
        stems = frozenset(targets.values())
        for _, owner, taken in self._owners:
            for stem in sorted(stems & taken):
                raise _taken(name, stem, owner)
        path = PurePosixPath(name)
        beginning = file_label(path)[: self._n_characters]
        self._owners.append((posixpath.join(posixpath.dirname(name), beginning), name, stems))

    def _take_here(self, name: str, targets: Mapping[str, str]) -> None:
        for stem in targets.values():
            for other, owner in self._taken.get(stem.casefold(), []):
                if self._target.is_one_name(stem, other):
                    raise _taken(name, stem, owner)
        for stem in targets.values():
            self._taken.setdefault(stem.casefold(), []).append((stem, name))


def _taken(name: str, stem: str, owner: str) -> OptionError:
    return OptionError(f"{name} was not separated: {stem} is already taken by {owner}")


def _characters_of_filename(template: str) -> int | None:
    """How many of the first characters of a song's name decide where its stems go; None: all."""
    lengths = [
        int(found[1]) if (found := PRECISION.search(specification)) else None
        for _, name, specification, _ in Formatter().parse(template)
        if name == "filename" and specification is not None
    ]
    known = [length for length in lengths if length is not None]
    return None if len(known) < len(lengths) else max(known, default=0)
