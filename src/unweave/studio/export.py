"""Finished jobs as files: a stem, the mix as heard, everything in an archive, or a project for a DAW."""

from __future__ import annotations

import math
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from unweave.audio.decode import AudioReader
from unweave.audio.formats import LOSSLESS, parse_bitrate
from unweave.audio.tags import Tags
from unweave.errors import OptionError
from unweave.separation.mix import Mix
from unweave.separation.output import OutputOptions, relative_stem_paths
from unweave.separation.remix import write_mix, write_stems
from unweave.separation.templates import is_unfit_for_windows
from unweave.studio.refusals import Refused
from unweave.studio.samples import CHANNELS, blocks
from unweave.studio.store import SOURCE, Job
from unweave.types import Stems

SLACK_BYTES = 64 << 10
MOST_BYTES_OF_A_NAME = 200  # of 255 that file systems take, with an extension
FORMATS = ("wav", "flac", "mp3", "m4a", "ogg", "opus")
PROJECTS = ("dawproject", "rpp")


def require_done(job: Job) -> None:
    """Raise `Refused` for a song that is not separated yet."""
    if job.state != "done":
        raise Refused("not_done")


def export_bytes(job: Job, options: OutputOptions) -> int:
    """At most how long one exported file becomes, a cover and other tags included."""
    if options.codec in ("wav", "flac") or options.format.is_project:
        n_bytes = job.n_samples * CHANNELS * (int(options.bit_depth.rstrip("f")) // 8)
    elif options.bitrate == LOSSLESS:
        n_bytes = job.n_samples * CHANNELS * 3
    else:
        n_bytes = math.ceil(job.n_samples / max(job.sample_rate, 1) * parse_bitrate(options.bitrate) / 8)
    return n_bytes + n_bytes // 16 + SLACK_BYTES


def export_mix(job: Job, folder: Path, mix: Mix, options: OutputOptions, target: Path) -> Path:
    """Write the mix of a finished job to ``target``. Raises `Refused`, `OptionError`, `AudioWriteError`."""
    _check(job, mix, options)
    write_mix(
        _parts(job, folder), mix, target, options,
        sample_rate=job.sample_rate, n_channels=CHANNELS, tags=_tags(folder),
    )  # fmt: skip
    return target


def export_all(
    job: Job, folder: Path, sensitivities: Mapping[str, float], options: OutputOptions, target: Path
) -> Path:
    """Write all stems of a finished job, with these sensitivities, into the archive ``target``."""
    mix = Mix(sensitivities=sensitivities)
    _check(job, mix, options)
    paths = {stem: target.with_name(f"{target.stem}-{number}.{options.codec}") for number, stem in enumerate(job.stems)}
    write_stems(
        _parts(job, folder), mix, paths, options,
        sample_rate=job.sample_rate, n_channels=CHANNELS, tags=_tags(folder),
    )  # fmt: skip
    return _packed(target, {path: f"{safe_name(job.name)}/{stem}.{options.codec}" for stem, path in paths.items()})


def export_project(job: Job, folder: Path, mix: Mix, options: OutputOptions, target: Path) -> Path:
    """Write a project of a finished job, with the faders of ``mix``: to ``target``, or with its stems in that archive.

    Returns where it is. Raises `Refused`, `OptionError`, `AudioWriteError`.
    """
    require_done(job)
    if not options.format.is_project:
        raise OptionError(f"expected a project of {' or '.join(PROJECTS)}, got {options.codec!r}")
    mix.check(job.stems)
    name = safe_name(job.name)  # which the project is called by in the program that opens it
    below = relative_stem_paths(name, name, job.stems, options)
    paths = {stem: target.parent / path for stem, path in below.items()}
    write_stems(
        _parts(job, folder), mix, paths, options,
        sample_rate=job.sample_rate, n_channels=CHANNELS, tags=_tags(folder),
    )  # fmt: skip
    if options.format.is_one_file:
        return paths[job.stems[0]]
    return _packed(target, {path: below[stem].as_posix() for stem, path in paths.items()})


def _check(job: Job, mix: Mix, options: OutputOptions) -> None:
    """Raise `Refused` or `OptionError` for what cannot be written as recordings."""
    require_done(job)
    if options.codec not in FORMATS:
        raise OptionError(f"expected a format of {', '.join(FORMATS)}, got {options.codec!r}")
    mix.check(job.stems)


def _packed(target: Path, files: Mapping[Path, str]) -> Path:
    """Move ``files`` into the archive ``target``, under the names given."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path, name in files.items():
            archive.write(path, name)
            path.unlink()
    return target


def _parts(job: Job, folder: Path) -> Iterator[Stems]:
    names = {stem: number for number, stem in enumerate(job.stems)}
    return blocks(folder, names, job.n_samples, job.sample_rate)


def _tags(folder: Path) -> Tags:
    with AudioReader(folder / SOURCE, only_audio=True) as reader:
        return reader.tags


def safe_name(name: str) -> str:
    """A song's name without its extension, fit for any file system (web/page/mix.js gives the same).

    Macs write accents as letters of their own, which become parts of theirs; in many scripts vowels are marks.
    """
    base = unicodedata.normalize("NFC", Path(name.replace("\\", "/")).stem)
    kept = "".join(each if each in "_- .()&'" or unicodedata.category(each)[0] in "LMN" else "_" for each in base)
    short = kept[:100].encode()[:MOST_BYTES_OF_A_NAME].decode(errors="ignore")
    name = short.strip(" .") or "song"
    return f"_{name}" if is_unfit_for_windows(name) else name
