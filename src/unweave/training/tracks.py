"""Which files hold which stem of which track, and under what licence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from unweave.audio.formats import READABLE_EXTENSIONS
from unweave.errors import OptionError
from unweave.evaluation.tracks import MIXTURE_NAMES, MUSDB_STREAMS
from unweave.training.lists import Row, read_rows
from unweave.training.plan import SourcePlan

# What these stems are when nothing says which files belong to them: everything that belongs to no other.
REST = ("other", "accompaniment")


# A file's name for its stem, its path, and its stream.
LabelledFile = tuple[str, Path, int | None]


@dataclass(frozen=True)
class StemFile:
    """One audio stream of one file (None: the file's default one), and the stem that it is part of."""

    stem: str
    path: Path
    stream: int | None = None


@dataclass(frozen=True)
class TrainingTrack:
    """A track with all its stems' files; several files of one stem are added up."""

    name: str
    files: tuple[StemFile, ...]
    licence: str
    weight: float


def find_training_tracks(source: SourcePlan, stems: Sequence[str]) -> list[TrainingTrack]:
    """The tracks of ``source``, with their files grouped into ``stems``.

    Raises `OptionError` where there are none, and for a folder that cannot be read.
    """
    try:
        if not source.path.exists():
            raise OptionError(f"{source.path} does not exist")
        tracks = list(_listed(source, stems) if source.path.is_file() else _in_folder(source, stems))
    except OSError as error:
        raise OptionError(f"cannot read {error.filename or source.path}: {error.strerror or error}") from error
    if not tracks:
        raise OptionError(f"no tracks in {source.path}: expected MUSDB18 files, or a folder of stems for each track")
    return sorted(tracks, key=lambda track: track.name)


def _in_folder(source: SourcePlan, stems: Sequence[str]) -> Iterator[TrainingTrack]:
    for path in sorted(path for path in source.path.rglob("*.stem.mp4") if not path.name.startswith(".")):
        streams: list[LabelledFile] = [(name, path, stream) for stream, name in enumerate(MUSDB_STREAMS)]
        yield _track(path.name.removesuffix(".stem.mp4"), streams, source, stems)
    for folder in sorted(path for path in source.path.iterdir() if path.is_dir()):
        files: list[LabelledFile] = [
            (path.relative_to(folder).with_suffix("").as_posix(), path, None)
            for path in sorted(folder.rglob("*"))
            if path.suffix[1:].lower() in READABLE_EXTENSIONS
            and not path.name.endswith(".stem.mp4")
            and not path.name.startswith(".")  # macOS leaves a ._vocals.wav beside each vocals.wav on foreign disks
        ]
        if files:
            yield _track(folder.name, files, source, stems)


def _track(name: str, files: Sequence[LabelledFile], source: SourcePlan, stems: Sequence[str]) -> TrainingTrack:
    grouped = []
    seen: dict[str, Path] = {}
    for label, path, stream in files:
        if label.lower() in MIXTURE_NAMES:
            continue
        if (twin := seen.setdefault(label.lower(), path)) != path:
            raise OptionError(f"{twin} and {path.name} are two files of one name, which would be added up; remove one")
        stem = stem_of(label, stems, source.groups)
        if stem is None:
            raise OptionError(f"{path} matches no stem; name it in data.sources.groups, or give a stem the pattern '*'")
        if stem:
            grouped.append(StemFile(stem, path, stream))
    return TrainingTrack(name, tuple(grouped), source.licence, source.weight)


def stem_of(label: str, stems: Sequence[str], groups: Mapping[str, Sequence[str]]) -> str | None:
    """The first stem with a pattern that fits ``label``, a file's name without its extension; None if none does.

    What fits no pattern goes to the stem of its own name, or that of the folder it is in; "other" and "accompaniment"
    without patterns take the rest. Patterns under a name that is no stem of the model drop what fits them: the answer
    is then empty.
    """
    for stem, patterns in groups.items():
        if any(fnmatch(label.lower(), pattern.lower()) for pattern in patterns):
            return stem if stem in stems else ""
    for stem in stems:
        if label.lower() == stem.lower() or label.lower().startswith(f"{stem.lower()}/"):
            return stem
    return next((stem for stem in stems if stem in REST and stem not in groups), None)


def _listed(source: SourcePlan, stems: Sequence[str]) -> Iterator[TrainingTrack]:
    """From a CSV: Spleeter's (mix_path, vocals_path, …), or one line per file (track, stem, path, licence, weight).

    Relative paths start at the list's folder. Raises `OptionError` with file, line and column for whatever is wrong.
    """
    rows = read_rows(source.path)
    columns = rows[0].values
    if "mix_path" in columns:
        yield from _spleeter_rows(rows, source, stems)
        return
    if not {"track", "stem", "path"} <= set(columns):
        raise OptionError(
            f"{source.path} must have the columns track, stem and path, or Spleeter's (mix_path, {stems[0]}_path, …); "
            f"it has {', '.join(columns)}"
        )
    by_track: dict[tuple[str, str, float], list[StemFile]] = {}
    for row in rows:
        key = (row.need("track"), row.get("licence") or source.licence, row.positive("weight", 1.0))
        files = by_track.setdefault(key, [])
        label, path = row.need("stem"), row.file("path", source.root or source.path.parent)
        stem = "" if label.lower() in MIXTURE_NAMES else stem_of(label, stems, source.groups)
        if stem is None:
            raise row.error(
                "stem", f"{label} matches none of the stems {', '.join(stems)}; name it in data.sources.groups"
            )
        if stem:
            files.append(StemFile(stem, path))
    for (name, licence, weight), files in by_track.items():
        yield TrainingTrack(name, tuple(files), licence, weight * source.weight)


def _spleeter_rows(rows: Sequence[Row], source: SourcePlan, stems: Sequence[str]) -> Iterator[TrainingTrack]:
    root = source.root or source.path.parent
    for row in rows:
        name = Path(row.need("mix_path").replace("\\", "/")).with_suffix("").as_posix()
        files = tuple(StemFile(stem, row.file(f"{stem.lower()}_path", root)) for stem in stems)
        yield TrainingTrack(name, files, source.licence, source.weight)
