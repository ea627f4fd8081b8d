"""Decoded stems in files of one size, from which any stretch is read at the speed of memory.

Samples are 16-bit integers, scaled to each stem's peak, interleaved, mapped and never parsed: a random segment of
3 seconds takes 0.1 ms from the page cache (``docs/training.md`` compares other ways).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.audio.channels import to_stereo
from unweave.audio.decode import AudioReader
from unweave.audio.resample import Resampler
from unweave.errors import OptionError
from unweave.models.files import sealed_folder
from unweave.training.tracks import StemFile, TrainingTrack
from unweave.types import Waveform

SHARD_SAMPLES = 1 << 23  # 32 MiB of stereo
MOST_MAPPED = 100  # shards; macOS lets a program open 256 files, and MUSDB18's training songs have some 500 shards
CHANNELS = 2
INDEX = "index.json"
FORMAT = 3  # shards of another format are made anew
ACTIVE_DB = -50.0  # a second of a stem above this, relative to full scale, is one that can be heard
FULL_SCALE = 32767


@dataclass(frozen=True)
class Clip:
    """One stem of one track in the shards."""

    track: str
    stem: str
    licence: str
    weight: float
    start: int  # in samples, counted through all shards
    n_samples: int
    scale: float  # the float value of one step of the integers
    active_seconds: tuple[int, ...]  # in which the stem can be heard
    level_db: float  # of these seconds together, relative to full scale

    @property
    def stop(self) -> int:
        """The sample after the last, counted through all shards."""
        return self.start + self.n_samples


class Shards:
    """Folders of shards at one sample rate: stretches of stems by clip. Safe to use from several threads."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        self.clips: list[Clip] = []
        self.songs: list[dict[str, Clip]] = []  # the clips of each track by stem; tracks of one name stay apart
        self._paths: list[Path] = []
        for folder in folders:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            self.sample_rate: int = index["sample_rate"]
            before = len(self._paths) * SHARD_SAMPLES
            song: dict[str, Clip] = {}
            for fields in index["clips"]:
                fields["active_seconds"] = tuple(fields["active_seconds"])
                fields["start"] += before
                clip = Clip(**fields)
                if not song or clip.stem in song or clip.track != next(iter(song.values())).track:
                    song = {}
                    self.songs.append(song)
                song[clip.stem] = clip
                self.clips.append(clip)
            self._paths += sorted(folder.glob("*.i16"))

    @cached_property
    def _shard(self) -> Callable[[int], npt.NDArray[np.int16]]:
        """The shard of a number: those that were read last stay mapped, each of which is an open file."""
        paths = self._paths

        @lru_cache(maxsize=MOST_MAPPED)
        def mapped(number: int) -> npt.NDArray[np.int16]:
            return np.memmap(paths[number], np.int16, mode="r").reshape(-1, CHANNELS)

        return mapped

    def read(self, clip: Clip, start: int, n_samples: int) -> Waveform:
        """(2, n_samples) of ``clip`` from its sample ``start``, silence beyond its end."""
        out = np.zeros((CHANNELS, n_samples), np.float32)
        position, stop = clip.start + start, min(clip.start + start + n_samples, clip.stop)
        n_done = 0
        while position < stop:
            shard, offset = divmod(position, SHARD_SAMPLES)
            part = self._shard(shard)[offset : offset + stop - position]
            np.multiply(part.T, np.float32(clip.scale), out=out[:, n_done : n_done + len(part)])
            n_done += len(part)
            position += len(part)
        return out


def prepare_shards(
    tracks: Sequence[TrainingTrack],
    cache: Path,
    sample_rate: int,
    on_track: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Shards:
    """The shards of ``tracks`` in ``cache``, decoded now if they are not there yet.

    A set of shards belongs to exactly these files, sizes and times of change; it appears whole or not at all.
    """
    if not any(track.files for track in tracks):
        raise OptionError("there is nothing to train on: no file is left for any stem")
    try:
        fingerprint = _fingerprint(tracks, sample_rate)
    except OSError as error:
        raise OptionError(f"cannot read {error.filename}: {error.strerror or error}") from error
    folder = cache / f"shards-{fingerprint}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # What was decoded before may be of files that are elsewhere by now.
        sealed_folder(folder, lambda staged: _write(tracks, staged, sample_rate, on_track), keeps_unused=True)
    except OSError as error:
        raise OptionError(f"cannot save decoded stems in {cache}: {error.strerror or error}") from error
    return Shards([folder])


def _fingerprint(tracks: Sequence[TrainingTrack], sample_rate: int) -> str:
    digest = hashlib.sha256(f"{FORMAT} {sample_rate} {SHARD_SAMPLES}".encode())
    for track in tracks:
        digest.update(f"{track.name} {track.licence} {track.weight}".encode(errors="surrogateescape"))
        for file in track.files:
            status = file.path.stat()
            told = f"{file.stem} {file.path.resolve()} {file.stream} {status.st_size} {status.st_mtime_ns}"
            digest.update(told.encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _write(
    tracks: Sequence[TrainingTrack], folder: Path, sample_rate: int, on_track: Callable[[int, int, str], None]
) -> None:
    clips: list[Clip] = []
    position = 0
    writer = _ShardWriter(folder)
    for number, (track, stems) in enumerate(_decoded(tracks, sample_rate)):
        on_track(number, len(tracks), track.name)
        for stem, waveform in stems:
            scale = max(float(np.abs(waveform).max(initial=0)), 1e-6) / FULL_SCALE
            writer.write(np.rint(waveform / scale).astype(np.int16))
            active, level_db = _heard(waveform, sample_rate)
            n_samples = waveform.shape[1]
            clips.append(
                Clip(track.name, stem, track.licence, track.weight, position, n_samples, scale, active, level_db)
            )
            position += n_samples
    index = {"sample_rate": sample_rate, "clips": [asdict(clip) for clip in clips]}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def _decoded(
    tracks: Sequence[TrainingTrack], sample_rate: int
) -> Iterator[tuple[TrainingTrack, list[tuple[str, Waveform]]]]:
    """The tracks in order with their stems, a few decoded ahead by all processors."""
    n_threads = os.cpu_count() or 1
    with ThreadPoolExecutor(n_threads) as pool:
        ahead: deque[Future[list[tuple[str, Waveform]]]] = deque()
        for index, track in enumerate(tracks):
            while len(ahead) <= n_threads and index + len(ahead) < len(tracks):
                ahead.append(pool.submit(decoded_stems, tracks[index + len(ahead)], sample_rate))
            yield track, ahead.popleft().result()


def decoded_stems(track: TrainingTrack, sample_rate: int) -> list[tuple[str, Waveform]]:
    """Each stem of ``track``, its files added up; all of the length of the longest."""
    parts: dict[str, Waveform] = {}
    for file in track.files:
        waveform = _decode(file, sample_rate)
        known = parts.get(file.stem, waveform[:, :0])
        longer, shorter = (known, waveform) if known.shape[1] >= waveform.shape[1] else (waveform, known)
        longer[:, : shorter.shape[1]] += shorter
        parts[file.stem] = longer
    n_samples = max((part.shape[1] for part in parts.values()), default=0)
    return [(stem, np.pad(part, [(0, 0), (0, n_samples - part.shape[1])])) for stem, part in parts.items()]


def _decode(file: StemFile, sample_rate: int) -> Waveform:
    with AudioReader(file.path, stream=file.stream) as reader:
        resampler = Resampler(reader.sample_rate, sample_rate, CHANNELS)
        blocks = [resampler.push(to_stereo(block)) for block in reader]
        return np.concatenate([*blocks, resampler.flush(CHANNELS)], axis=1)


def _heard(waveform: Waveform, sample_rate: int) -> tuple[tuple[int, ...], float]:
    """The seconds in which the stem can be heard, and their level in dB; the last may be a shorter one."""
    starts = np.arange(0, waveform.shape[1], sample_rate)
    if not len(starts):
        return (), ACTIVE_DB
    energies = np.add.reduceat(np.mean(waveform**2, axis=0), starts, dtype=np.float64)
    lengths = np.diff([*starts, waveform.shape[1]])
    active = np.flatnonzero(energies > lengths * 10 ** (ACTIVE_DB / 10))
    level_db = 10 * np.log10(energies[active].sum() / lengths[active].sum()) if len(active) else ACTIVE_DB
    return tuple(active.tolist()), float(level_db)


class _ShardWriter:
    """Writes samples one after the other into files of ``SHARD_SAMPLES``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._n_written = 0

    def write(self, samples: npt.NDArray[np.int16]) -> None:
        """(2, n) more."""
        interleaved = samples.T
        while len(interleaved):
            shard, offset = divmod(self._n_written, SHARD_SAMPLES)
            part = interleaved[: SHARD_SAMPLES - offset]
            with (self._folder / f"{shard:05}.i16").open("ab") as file:
                file.write(np.ascontiguousarray(part).tobytes())
            self._n_written += len(part)
            interleaved = interleaved[len(part) :]
