"""Data sets of tracks with their true stems: MUSDB18, MUSDB18-HQ, or any folder of folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unweave.audio.decode import AudioReader
from unweave.audio.formats import READABLE_EXTENSIONS
from unweave.errors import AudioReadError
from unweave.types import Waveform

MIXTURE_NAMES = ("mixture", "mix")
# The order of the streams in a MUSDB18 file (Native Instruments' stem format).
MUSDB_STREAMS = ("mixture", "drums", "bass", "other", "vocals")


@dataclass(frozen=True)
class Track:
    """A mixture with its true stems, on disk."""

    name: str
    path: Path  # a .stem.mp4 file, or a folder with a file per stem

    def load(self) -> tuple[Waveform, dict[str, Waveform], int]:
        """Mixture (channels, samples), references by name, and their rate in Hz; the mixture may be their sum."""
        parts: dict[str, Waveform] = {}
        rates: set[int] = set()
        for name, source, stream in self._sources():
            with AudioReader(source, stream=stream) as reader:
                parts[name] = np.concatenate(list(reader), axis=1)
                rates.add(reader.sample_rate)
        if len(rates) > 1:
            raise AudioReadError(f"the stems of {self.path} have several sample rates: {sorted(rates)}")
        n_samples = min(part.shape[1] for part in parts.values())
        parts = {name: part[:, :n_samples] for name, part in parts.items()}
        mixtures = [parts.pop(name) for name in MIXTURE_NAMES if name in parts]
        if not parts:
            raise AudioReadError(f"{self.path} holds no stems beside the mixture")
        mixture = mixtures[0] if mixtures else np.sum(list(parts.values()), axis=0)
        return mixture, parts, rates.pop()

    def _sources(self) -> Iterator[tuple[str, Path, int]]:
        if self.path.is_dir():
            for file in _audio_files(self.path):
                yield file.stem.lower(), file, 0
        else:
            for stream, name in enumerate(MUSDB_STREAMS):
                yield name, self.path, stream


def find_tracks(folder: Path) -> list[Track]:
    """The tracks below ``folder``, sorted by name. Raises `AudioReadError` where there is none."""
    if not folder.is_dir():
        raise AudioReadError(f"{folder} is no folder")
    tracks = [Track(path.name.removesuffix(".stem.mp4"), path) for path in folder.rglob("*.stem.mp4")]
    for sub in folder.rglob("*"):
        if sub.is_dir() and len(list(_audio_files(sub))) >= 2:
            tracks.append(Track(sub.name, sub))
    if not tracks:
        raise AudioReadError(f"no tracks in {folder}: neither .stem.mp4 files nor folders with a file per stem")
    return sorted(tracks, key=lambda track: track.name)


def matched(
    estimates: Mapping[str, Waveform], references: Mapping[str, Waveform]
) -> dict[str, tuple[Waveform, Waveform]]:
    """Pairs (reference, estimate) by stem, as far as both can be had.

    An accompaniment is compared with the sum of all references but the vocals; a piano goes into the other stem where
    the references have none.
    """
    estimates = dict(estimates)
    references = dict(references)
    if "piano" in estimates and "piano" not in references and "other" in estimates:
        estimates["other"] = estimates["other"] + estimates.pop("piano")
    if "accompaniment" in estimates and "accompaniment" not in references and "vocals" in references:
        references["accompaniment"] = np.sum([r for name, r in references.items() if name != "vocals"], axis=0)
    return {name: (references[name], estimate) for name, estimate in estimates.items() if name in references}


def _audio_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        extension = path.suffix[1:].lower()
        if path.is_file() and extension in READABLE_EXTENSIONS and not path.name.endswith(".stem.mp4"):
            yield path
