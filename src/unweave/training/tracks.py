"""Which files hold which stem of which track, and under what licence."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from unweave.audio.formats import READABLE_EXTENSIONS
from unweave.errors import OptionError
from unweave.evaluation.tracks import MIXTURE_NAMES, MUSDB_STREAMS
from unweave.training.plan import SourcePlan

# What these stems are when nothing says which files belong to them: everything that belongs to no other.
REST = ("other", "accompaniment")


@dataclass(frozen=True)
class StemFile:
    """One stream of one file, and the stem that it is part of."""

    stem: str
    path: Path
    stream: int = 0


@dataclass(frozen=True)
class TrainingTrack:
    """A track with all its stems' files; several files of one stem are added up."""

    name: str
    files: tuple[StemFile, ...]
    licence: str
    weight: float


def find_training_tracks(source: SourcePlan, stems: Sequence[str]) -> list[TrainingTrack]:
    """The tracks of ``source``, with their files grouped into ``stems``. Raises `OptionError` where there are none."""
    if not source.path.exists():
        raise OptionError(f"{source.path} does not exist")
    tracks = list(_listed(source, stems) if source.path.is_file() else _in_folder(source, stems))
    if not tracks:
        raise OptionError(f"no tracks in {source.path}: expected MUSDB18 files, or a folder of stems for each track")
    return sorted(tracks, key=lambda track: track.name)


def _in_folder(source: SourcePlan, stems: Sequence[str]) -> Iterator[TrainingTrack]:
    for path in sorted(source.path.rglob("*.stem.mp4")):
        files = [(name, path, stream) for stream, name in enumerate(MUSDB_STREAMS)]
        yield _track(path.name.removesuffix(".stem.mp4"), files, source, stems)
    for folder in sorted(path for path in source.path.iterdir() if path.is_dir()):
        files = [
            (path.relative_to(folder).with_suffix("").as_posix(), path, 0)
            for path in sorted(folder.rglob("*"))
            if path.suffix[1:].lower() in READABLE_EXTENSIONS and not path.name.endswith(".stem.mp4")
        ]
        if files:
            yield _track(folder.name, files, source, stems)


def _track(
    name: str, files: Sequence[tuple[str, Path, int]], source: SourcePlan, stems: Sequence[str]
) -> TrainingTrack:
    grouped = []
    for label, path, stream in files:
        if label.lower() in MIXTURE_NAMES:
            continue
        stem = stem_of(label, stems, source.groups)
        if stem is None:
            raise OptionError(f"{path} fits no stem; name it in data.sources.groups, or give a stem the pattern '*'")
        if stem:
            grouped.append(StemFile(stem, path, stream))
    return TrainingTrack(name, tuple(grouped), source.licence, source.weight)


def stem_of(label: str, stems: Sequence[str], groups: Mapping[str, Sequence[str]]) -> str | None:
    """The first stem with a pattern that fits ``label``, a file's name without its extension; None if none does.

    A stem without patterns takes files of its own name and files in a folder of that name; "other" and "accompaniment"
    take the rest. Patterns under a name that is no stem of the model drop what fits them: the answer is then empty.
    """
    for stem, patterns in groups.items():
        if any(fnmatch(label.lower(), pattern.lower()) for pattern in patterns):
            return stem if stem in stems else ""
    for stem in stems:
        if stem not in groups and (label.lower() == stem or label.lower().startswith(f"{stem}/")):
            return stem
    return next((stem for stem in stems if stem in REST and stem not in groups), None)


def _listed(source: SourcePlan, stems: Sequence[str]) -> Iterator[TrainingTrack]:
    """From a CSV: Spleeter's (mix_path, vocals_path, …), or one line per file (track, stem, path, licence, weight).

    Relative paths start at the list's folder.
    """
    with source.path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise OptionError(f"{source.path} lists nothing")
    if "mix_path" in rows[0]:
        yield from _spleeter_rows(rows, source, stems)
        return
    if not {"track", "stem", "path"} <= set(rows[0]):
        raise OptionError(f"{source.path} must have the columns track, stem and path, or Spleeter's")
    by_track: dict[tuple[str, str, float], list[tuple[str, Path, int]]] = {}
    for row in rows:
        key = (row["track"], row.get("licence") or source.licence, float(row.get("weight") or 1))
        by_track.setdefault(key, []).append((row["stem"], (source.root or source.path.parent) / row["path"], 0))
    for (name, licence, weight), files in by_track.items():
        track = _track(name, files, source, stems)
        yield TrainingTrack(name, track.files, licence, weight * source.weight)


def _spleeter_rows(
    rows: Sequence[Mapping[str, str]], source: SourcePlan, stems: Sequence[str]
) -> Iterator[TrainingTrack]:
    for row in rows:
        missing = [stem for stem in stems if not row.get(f"{stem}_path")]
        if missing:
            raise OptionError(f"{source.path} has no column {missing[0]}_path")
        files = tuple(StemFile(stem, (source.root or source.path.parent) / row[f"{stem}_path"]) for stem in stems)
        yield TrainingTrack(Path(row["mix_path"]).with_suffix("").as_posix(), files, source.licence, source.weight)
