"""Data sets of tracks with their true stems: MUSDB18, MUSDB18-HQ, or any folder of folders."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unweave.audio.decode import AudioReader
from unweave.audio.formats import READABLE_EXTENSIONS
from unweave.errors import AudioReadError
from unweave.models.spec import rest_of
from unweave.types import Waveform

log = logging.getLogger(__name__)

MIXTURE_NAMES = ("mixture", "mix")
SUMS = ("accompaniment", "instrumental", "no_vocals")  # of all stems but the vocals
IN_OTHER = ("piano", "guitar")  # where a data set, such as MUSDB18, does not tell them apart
# The order of the streams in a MUSDB18 file (Native Instruments' stem format).
MUSDB_STREAMS = ("mixture", "drums", "bass", "other", "vocals")
STEM_FILE = ".stem.mp4"
SAME_LENGTH_SECONDS = 0.1  # files of a track differ by so much without a note: codecs pad


@dataclass(frozen=True)
class Recording:
    """A track in memory: all waveforms are (channels, samples) of one shape."""

    mixture: Waveform
    references: dict[str, Waveform]
    sample_rate: int  # Hz
    notes: tuple[str, ...] = ()  # what had to be changed to make them fit


@dataclass(frozen=True)
class Track:
    """A mixture with its true stems, on disk."""

    name: str
    path: Path  # a .stem.mp4 file, or a folder with a file per stem

    def load(self) -> tuple[Waveform, dict[str, Waveform], int]:
        """Mixture (channels, samples), references by name, and their rate in Hz, as `read` gives them."""
        recording = self.read()
        return recording.mixture, recording.references, recording.sample_rate

    def read(self) -> Recording:
        """Mixture and references; without a mixture of its own, it is their sum.

        All get the mixture's length, or that of the longest stem: shorter ones end in silence. Mono files count as
        stereo beside stereo ones. Raises `AudioReadError` for a file that cannot be read, for several sample rates, for
        two files of one stem, and where there are no stems.
        """
        parts: dict[str, Waveform] = {}
        rates: set[int] = set()
        for name, source, stream in self._sources():
            if name in parts:
                raise AudioReadError(f"{self.path} has several files for {name}")
            with AudioReader(source, stream=stream) as reader:
                blocks = list(reader)
                if not blocks:
                    raise AudioReadError(f"{source} holds no audio samples")
                parts[name] = np.concatenate(blocks, axis=1)
                rates.add(reader.sample_rate)
        if not set(parts) - set(MIXTURE_NAMES):
            raise AudioReadError(f"{self.path} contains no stems besides the mixture")
        if len(rates) > 1:
            raise AudioReadError(f"the stems of {self.path} have several sample rates: {sorted(rates)}")
        sample_rate = rates.pop()
        given = next((parts[name] for name in MIXTURE_NAMES if name in parts), None)
        lengths = [part.shape[1] for part in parts.values()]
        n_samples = max(lengths) if given is None else given.shape[1]
        n_channels = max(len(part) for part in parts.values())
        fitted = {name: _fitted(part, n_channels, n_samples) for name, part in parts.items()}
        references = {name: part for name, part in fitted.items() if name not in MIXTURE_NAMES}
        mixture = next((fitted[name] for name in MIXTURE_NAMES if name in fitted), None)
        if mixture is None:
            rest = _all_but_vocals(references)
            mixture = np.sum([part for part in (references.get("vocals"), rest) if part is not None], axis=0)
        spread = (max(lengths) - min(lengths)) / sample_rate
        notes = (f"its files differ in length by {spread:.1f} s",) if spread > SAME_LENGTH_SECONDS else ()
        return Recording(mixture, references, sample_rate, notes)

    def files(self) -> list[Path]:
        """The audio files of the track. Raises OSError."""
        return list(dict.fromkeys(source for _, source, _ in self._sources()))

    def _sources(self) -> Iterator[tuple[str, Path, int | None]]:
        """Each stem's name, file, and audio stream (None: the file's default one)."""
        if self.path.is_dir():
            for file in _audio_files(self.path):
                yield file.stem.lower(), file, None
        else:
            for stream, name in enumerate(MUSDB_STREAMS):
                yield name, self.path, stream


def _fitted(waveform: Waveform, n_channels: int, n_samples: int) -> Waveform:
    cut = waveform[:, :n_samples]
    padded = np.pad(cut, [(0, 0), (0, n_samples - cut.shape[1])])
    return np.repeat(padded, n_channels, axis=0) if len(padded) < n_channels else padded


def find_tracks(folder: Path) -> list[Track]:
    """The tracks below ``folder``, sorted by name; links to folders are followed.

    Tracks that would have one name are named by their folders as well ("Artist/Intro"). Raises `AudioReadError` where
    there is no track. A folder that may not be read is left out, with a warning in the log.
    """
    if not folder.is_dir():
        raise AudioReadError(f"{folder} is not a folder")
    tracks = []
    for sub in _folders(folder):
        tracks += [Track(path.name[: -len(STEM_FILE)], path) for path in _files(sub) if _is_stem_file(path)]
        if sub != folder and len(list(_audio_files(sub))) >= 2:
            tracks.append(Track(sub.name, sub))
    if not tracks:
        raise AudioReadError(f"no tracks in {folder}: neither .stem.mp4 files nor folders with a file per stem")
    return named_apart(sorted(tracks, key=lambda track: (track.name, track.path)))


def named_apart(tracks: Sequence[Track]) -> list[Track]:
    """The same tracks, those that share a name named by as many of their folders as it takes to tell them apart.

    Names that differ in case alone count as one, for they are one file's name on some systems.
    """
    names = [track.name for track in tracks]
    paths = [Path(os.path.abspath(track.path)) for track in tracks]
    for n_folders in range(1, max((len(path.parts) for path in paths), default=0)):
        counts = Counter(name.casefold() for name in names)
        shared = [index for index, name in enumerate(names) if counts[name.casefold()] > 1]
        for index in shared:
            folders = paths[index].parent.parts[1:][-n_folders:]  # without the root
            names[index] = "/".join((*folders, tracks[index].name))
    counts, seen = Counter(name.casefold() for name in names), Counter[str]()
    for index, name in enumerate(names):
        seen[name.casefold()] += 1
        if counts[name.casefold()] > 1:  # a folder and a stem file beside it, or one track twice
            names[index] = f"{name} ({seen[name.casefold()]})"
    return [replace(track, name=name) for track, name in zip(tracks, names, strict=True)]


def matched(
    estimates: Mapping[str, Waveform], references: Mapping[str, Waveform]
) -> dict[str, tuple[Waveform, Waveform]]:
    """Pairs (reference, estimate) by stem, for the stems that have a reference.

    An accompaniment or instrumental is compared with the sum of all references but the vocals; a piano or a guitar goes
    into the other stem where the references have none. Where the references tell more stems apart than the estimates
    do, the other stem is compared with the sum of its own reference and of those that no estimate is for.
    """
    references = dict(references)
    comparable = _comparable(estimates, references)
    rest = _all_but_vocals(references)
    if rest is not None:
        references = {**dict.fromkeys([name for name in SUMS if name in comparable], rest), **references}
    if "other" in comparable and "other" in references:
        finer = [part for name, part in references.items() if name not in comparable and rest_of((name,)) is None]
        references["other"] = np.sum([references["other"], *finer], axis=0)
    return {name: (references[name], estimate) for name, estimate in comparable.items() if name in references}


def without_reference(estimates: Mapping[str, Waveform], references: Mapping[str, Waveform]) -> tuple[str, ...]:
    """The stems of ``estimates`` that `matched` finds no reference for."""
    pairs = matched(estimates, references)
    return tuple(name for name in _comparable(estimates, references) if name not in pairs)


def _comparable(estimates: Mapping[str, Waveform], references: Mapping[str, Waveform]) -> dict[str, Waveform]:
    estimates = dict(estimates)
    folded = [name for name in IN_OTHER if name in estimates and name not in references]
    # A model of the guitar alone has all the rest in its other stem, and the sum of both says nothing about it.
    if "other" in estimates and (estimates.keys() - {"other", *folded} or references.keys() <= {"other"}):
        estimates["other"] = np.sum([estimates["other"], *(estimates.pop(name) for name in folded)], axis=0)
    return estimates


def _all_but_vocals(references: Mapping[str, Waveform]) -> Waveform | None:
    """Their sum as it is given, or else that of its stems, so that none counts twice; None where there is neither."""
    given = next((references[name] for name in SUMS if name in references), None)
    parts = [part for name, part in references.items() if name != "vocals"]
    return given if given is not None or not parts else np.sum(parts, axis=0)


def _folders(folder: Path) -> Iterator[Path]:
    """``folder`` and all folders below it, each once, however they are linked."""
    seen: set[str] = set()
    for place, names, _ in os.walk(folder, followlinks=True, onerror=lambda error: log.warning("left out: %s", error)):
        real = os.path.realpath(place)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        names.sort()
        yield Path(place)


def _files(folder: Path) -> list[Path]:
    # Hidden files are no music: macOS leaves a ._vocals.wav beside each vocals.wav on foreign disks and in archives.
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())


def _is_stem_file(path: Path) -> bool:
    return path.name.lower().endswith(STEM_FILE)


def _audio_files(folder: Path) -> Iterator[Path]:
    for path in _files(folder):
        if path.suffix[1:].lower() in READABLE_EXTENSIONS and not _is_stem_file(path):
            yield path
