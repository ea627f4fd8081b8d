"""Stems back into one mix, each at its own level, or into a project whose faders stand where the mix has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unweave.audio.channels import to_channels
from unweave.audio.formats import FORMATS, BitDepth, OutputFormat
from unweave.audio.resample import Resampler
from unweave.audio.tags import Tags
from unweave.dsp.sensitivity import reshared
from unweave.errors import AudioWriteError, OptionError
from unweave.separation.identity import check_target as check_path
from unweave.separation.identity import identity
from unweave.separation.mix import Mix
from unweave.separation.output import OutputOptions
from unweave.separation.projects import PROJECT, check_names, check_stems
from unweave.separation.stem_set import StemSet
from unweave.types import Stems, Waveform

ONE_RECORDING = "this format holds several stems, not a single recording; choose another, such as .wav or .m4a"


def check_target(target: Path, source: Path) -> None:
    """Raise `OptionError` where a mix would overwrite the song it is made from, `AudioWriteError` where it cannot be.

    The song is known by any name: a link, another path, another case.
    """
    check_path(target)
    if target.is_dir():
        raise AudioWriteError(f"cannot write {target}: it is a folder")
    if identity(target) is not None and identity(target) == identity(source):
        raise OptionError(f"{target} is the input itself; choose another name")


def options_for(target: Path, bitrate: str, bit_depth: BitDepth, **more: Any) -> OutputOptions:
    """Options for one recording, in the format that the extension of ``target`` names. Raises `OptionError`."""
    for name, known in FORMATS.items():
        if known.layout is not None and target.name.lower().endswith(f".{name}"):
            raise OptionError(f"cannot write {target}: {ONE_RECORDING}")
    if not target.suffix:
        raise OptionError(f"cannot tell in which format to write {target}: add an extension, such as .wav or .mp3")
    return OutputOptions(target.suffix[1:], bitrate, bit_depth, **more)


def check_one_recording(target: Path, format: OutputFormat) -> None:
    """Raise `OptionError` for a format that holds several stems."""
    if format.holds_several:
        raise OptionError(f"cannot write {target}: {ONE_RECORDING}")


def write_mix(
    parts: Iterable[Stems],
    mix: Mix,
    target: Path,
    options: OutputOptions,
    *,
    sample_rate: int,
    n_channels: int,
    tags: Tags,
) -> None:
    """Write the mix of ``parts``, consecutive parts of the stems, to ``target``, which appears whole or not at all."""
    rate, n_written = options.rate_for(sample_rate), options.n_channels or n_channels
    resampler = Resampler(sample_rate, rate, n_written)
    check_one_recording(target, options.format)
    # One mix is written as a set of one stem.
    with StemSet({"mix": target}, options, sample_rate=rate, n_channels=n_written, tags=tags) as files:
        for part in reshared(parts, mix.sensitivities):
            if part.n_samples:
                files.write(Stems({"mix": resampler.push(to_channels(mix.apply(part), n_written))}, rate))
        files.write(Stems({"mix": resampler.flush(n_written)}, rate))
        files.commit()


def project_paths(target: Path, stems: Sequence[str], source: Path, options: OutputOptions) -> dict[str, Path]:
    """Where the stems of the project ``target`` go: into it, or into a folder beside it that has its name.

    Raises as `check_target` does, and `OptionError` for a name that a project of REAPER cannot give its stems.
    """
    check_stems(stems)
    if options.format.is_one_file:
        return dict.fromkeys(stems, target)
    folder = target.with_suffix("")
    paths = {stem: folder / f"{stem}.{options.format.stem_extension}" for stem in stems}
    for path in paths.values():
        check_target(path, source)
    paths[PROJECT] = target
    check_names(paths)
    return paths


def write_stems(
    parts: Iterable[Stems],
    mix: Mix,
    paths: Mapping[str, Path],
    options: OutputOptions,
    *,
    sample_rate: int,
    n_channels: int,
    tags: Tags,
) -> None:
    """Write ``parts``, consecutive parts of the stems, to a path for each, or to `project_paths`: all of it or nothing.

    The stems are written as they are, except for their sensitivities; gains, pans, mutes and solos are the project's.
    """
    names = [name for name in paths if name != PROJECT or not options.format.is_project]
    rate, n_written = options.rate_for(sample_rate), options.n_channels or n_channels
    n_rows = len(names) * n_written
    resampler = Resampler(sample_rate, rate, n_rows)

    def split(rows: Waveform) -> Stems:
        return Stems(dict(zip(names, np.split(rows, len(names)), strict=True)), rate)

    with StemSet(paths, options, sample_rate=rate, n_channels=n_written, tags=tags, mix=mix) as files:
        for part in reshared(parts, mix.sensitivities):
            if part.n_samples:
                rows = np.concatenate([to_channels(part[name], n_written) for name in names])
                files.write(split(resampler.push(rows)))
        files.write(split(resampler.flush(n_rows)))
        files.commit()
