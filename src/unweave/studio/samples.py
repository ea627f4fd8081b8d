"""Stems as raw samples on disk: readable while they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from unweave.files import replace_file
from unweave.types import Stems, Waveform

CHANNELS = 2
BYTES_PER_SAMPLE = 4 * CHANNELS
KEPT_POINTS = 4000  # heights of a finished stem's waveform; the most that can be asked for


def stem_file(folder: Path, number: int) -> Path:
    """Where stem ``number`` of a job lies: interleaved 32-bit floats."""
    return folder / f"stem-{number}.f32"


class StemFiles:
    """Appends to all stems of a job, from the beginning."""

    def __init__(self, folder: Path, n_stems: int) -> None:
        self._stack = ExitStack()
        self._files = [
            self._stack.enter_context(stem_file(folder, number).open("wb", buffering=0)) for number in range(n_stems)
        ]

    def __enter__(self) -> StemFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def write(self, stems: Stems) -> None:
        """Append; mono becomes two equal channels."""
        for file, waveform in zip(self._files, stems.values(), strict=True):
            stereo = np.broadcast_to(waveform, (CHANNELS, waveform.shape[1]))
            file.write(np.ascontiguousarray(stereo.T, dtype=np.float32).tobytes())


def read_samples(folder: Path, number: int, start: int, count: int) -> Waveform:
    """(2, up to count) of a stem from sample ``start``, as far as it is written."""
    with stem_file(folder, number).open("rb") as file:
        file.seek(start * BYTES_PER_SAMPLE)
        raw = file.read(count * BYTES_PER_SAMPLE)
    whole = len(raw) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
    return np.frombuffer(raw[:whole], np.float32).reshape(-1, CHANNELS).T


def blocks(folder: Path, names: Mapping[str, int], n_samples: int, sample_rate: int) -> Iterator[Stems]:
    """The named stems from beginning to end, a few seconds at a time."""
    for start in range(0, n_samples, 1 << 17):
        count = min(1 << 17, n_samples - start)
        parts = {name: read_samples(folder, number, start, count) for name, number in names.items()}
        yield Stems(parts, sample_rate)


def peaks(folder: Path, number: int, n_samples: int, n_points: int) -> list[float]:
    """The largest magnitude in each of ``n_points`` stretches of the first ``n_samples``."""
    edges = np.linspace(0, n_samples, n_points + 1).astype(np.int64)
    heights = []
    for point in range(n_points):
        count = int(edges[point + 1] - edges[point])
        # Of a long stretch a part is enough for a picture.
        waveform = read_samples(folder, number, int(edges[point]), min(count, 4096))
        heights.append(round(float(np.abs(waveform).max(initial=0)), 4))
    return heights


def kept_peaks(folder: Path, number: int, n_samples: int, n_points: int) -> list[float]:
    """`peaks` of a finished stem, computed once.

    One file holds `KEPT_POINTS` heights, whatever number was asked for first; fewer are made from those.
    """
    path = folder / f"stem-{number}-peaks.json"
    if not path.exists():
        replace_file(path, json.dumps(peaks(folder, number, n_samples, KEPT_POINTS)).encode())
    kept: list[float] = json.loads(path.read_text())
    low = [point * KEPT_POINTS // n_points for point in range(n_points)]
    high = [-(-(point + 1) * KEPT_POINTS // n_points) for point in range(n_points)]
    return [max(kept[first:last]) for first, last in zip(low, high, strict=True)]
