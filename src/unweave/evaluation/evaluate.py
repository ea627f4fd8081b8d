"""Evaluate a separator over a data set: track by track, resumable, in parallel."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unweave.evaluation.metrics import BSS_METRICS, bss_eval, sdr, si_sdr
from unweave.evaluation.tracks import Track, matched
from unweave.models.files import replace_file
from unweave.separation.separator import Separator

WHOLE_METRICS = ("uSDR", "SI-SDR")
METRICS = (*BSS_METRICS, *WHOLE_METRICS)


@dataclass(frozen=True)
class Scores:
    """One track's figures: stem → metric → dB. BSS Eval's are medians over the windows of one second."""

    track: str
    values: dict[str, dict[str, float]]
    seconds: float  # of audio
    separation_seconds: float  # that the separation took

    def to_museval(self, frames: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
        """The JSON of the track as museval writes it, with our own figures beside it."""
        targets = [
            {
                "name": stem,
                "frames": [
                    {"time": float(second), "duration": 1.0, "metrics": metrics}
                    for second, metrics in enumerate(frames[stem])
                ],
            }
            for stem in self.values
        ]
        own = {
            "track": self.track,
            "values": self.values,
            "seconds": self.seconds,
            "separation_seconds": self.separation_seconds,
        }
        return {"targets": targets, "unweave": own}


# Called with each track's scores, in no particular order.
OnScores = Callable[[Scores], None]


def evaluate(
    separator: Separator,
    tracks: Sequence[Track],
    folder: Path,
    *,
    jobs: int = 1,
    on_scores: OnScores = lambda scores: None,
) -> list[Scores]:
    """Scores of all ``tracks``, each also kept as ``folder/TRACK.json``; a track whose file is there is not run again.

    Separation takes all processors for one track at a time; scoring is spread over ``jobs`` processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished: list[Scores] = []

    def finish(scores: Scores) -> None:
        finished.append(scores)
        on_scores(scores)

    pending: list[Future[Scores]] = []
    # Several processes with several threads each would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for track in tracks:
            path = folder / f"{track.name}.json"
            known = read_scores(path)
            if known is not None:
                finish(known)
                continue
            mixture, references, sample_rate = track.load()
            started = time.perf_counter()
            estimates = separator.separate(mixture, sample_rate)
            elapsed = time.perf_counter() - started
            pairs = matched(estimates, references)
            pending.append(pool.submit(_score, track.name, pairs, sample_rate, elapsed, path))
            while len(pending) > 2 * jobs:
                finish(pending.pop(0).result())
        for future in pending:
            finish(future.result())
    return sorted(finished, key=lambda scores: scores.track)


def read_scores(path: Path) -> Scores | None:
    """The scores that an earlier run kept in ``path``, if they are whole."""
    try:
        own = json.loads(path.read_text(encoding="utf-8"))["unweave"]
        return Scores(own["track"], own["values"], own["seconds"], own["separation_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _score(name: str, pairs: dict[str, tuple[Any, Any]], sample_rate: int, elapsed: float, path: Path) -> Scores:
    references = np.stack([reference for reference, _ in pairs.values()])
    estimates = np.stack([estimate for _, estimate in pairs.values()])
    windows = bss_eval(references, estimates, sample_rate)
    values, frames = {}, {}
    for index, (stem, (reference, estimate)) in enumerate(pairs.items()):
        per_metric = {metric: windows[metric][index] for metric in BSS_METRICS}
        values[stem] = {metric: _median(series) for metric, series in per_metric.items()}
        values[stem]["uSDR"] = sdr(reference, estimate)
        values[stem]["SI-SDR"] = si_sdr(reference, estimate)
        n_windows = len(per_metric["SDR"])
        frames[stem] = [
            {metric: round(float(series[k]), 5) for metric, series in per_metric.items()} for k in range(n_windows)
        ]
    scores = Scores(name, values, references.shape[-1] / sample_rate, elapsed)
    replace_file(path, json.dumps(scores.to_museval(frames), indent=2).encode())
    return scores


def _median(series: Any) -> float:
    finite = np.asarray(series)[np.isfinite(series)]
    return float(np.median(finite)) if len(finite) else float("nan")
