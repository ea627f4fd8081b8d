"""Finished jobs as files: a stem, the mix as heard, or everything in an archive."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from unweave.audio.decode import AudioReader
from unweave.audio.resample import Resampler
from unweave.errors import OptionError
from unweave.separation.output import OutputOptions, StemSet
from unweave.separation.remix import Mix
from unweave.studio.samples import CHANNELS, blocks
from unweave.studio.store import SOURCE, Job
from unweave.types import Stems

FORMATS = ("wav", "flac", "mp3", "m4a", "ogg", "opus")


def export_mix(job: Job, folder: Path, mix: Mix, options: OutputOptions, target: Path) -> Path:
    """Write the mix of a finished job to ``target``. Raises `OptionError`, `AudioWriteError`."""
    if job.state != "done":
        raise OptionError("the song is not separated yet")
    if options.codec not in FORMATS:
        raise OptionError(f"expected a format of {', '.join(FORMATS)}, got {options.codec!r}")
    mix.check(job.stems)
    rate = options.rate_for(job.sample_rate)
    resampler = Resampler(job.sample_rate, rate, CHANNELS)
    names = {stem: number for number, stem in enumerate(job.stems)}
    with AudioReader(folder / SOURCE, only_audio=True) as reader:
        tags = reader.tags
    with StemSet({"mix": target}, options, sample_rate=rate, n_channels=CHANNELS, tags=tags) as files:
        for part in blocks(folder, names, job.n_samples, job.sample_rate):
            files.write(Stems({"mix": resampler.push(mix.apply(part))}, rate))
        files.write(Stems({"mix": resampler.flush(CHANNELS)}, rate))
        files.commit()
    return target


def export_all(job: Job, folder: Path, options: OutputOptions, target: Path) -> Path:
    """Write all stems of a finished job into the archive ``target``."""
    files = []
    for stem in job.stems:
        path = target.with_name(f"{target.stem}-{job.stems.index(stem)}.{options.codec}")
        files.append((stem, export_mix(job, folder, Mix(solo=(stem,)), options, path)))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for stem, path in files:
            archive.write(path, f"{safe_name(job.name)}/{stem}.{options.codec}")
            path.unlink()
    return target


def safe_name(name: str) -> str:
    """A song's name without its extension, fit for any file system."""
    base = re.sub(r"[^\w\- .()&']", "_", Path(name.replace("\\", "/")).stem).strip(" .")
    return base[:100] or "song"
