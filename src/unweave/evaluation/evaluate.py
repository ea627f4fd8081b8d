"""Evaluate a separator over a data set: track by track, resumable, in parallel."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from unweave.environment import environment
from unweave.errors import Cancelled, OptionError, UnweaveError
from unweave.evaluation.origin import Origin, origin_of
from unweave.evaluation.scores import METRICS, Scores, read_scores, score
from unweave.evaluation.tracks import Track, matched, named_apart, without_reference
from unweave.separation.separator import Separator

__all__ = ["METRICS", "Failure", "OnFailure", "OnScores", "Scores", "evaluate", "read_scores"]

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

MOST_ON_WINDOWS = 61  # processes that Python can wait for at once there
# For the processes that score, unless the user has set them. Several with several threads each would only wait for each
# other. Nor are they to import from the folder that the user is in, where a stranger's files may lie.
FOR_SCORING = {"OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}


@dataclass(frozen=True)
class Failure:
    """A track that could not be scored, and why, in one line."""

    track: str
    reason: str


# Called with each track's scores, in no particular order.
OnScores = Callable[[Scores], None]
OnFailure = Callable[[Failure], None]


def _logged(failure: Failure) -> None:
    log.error("%s: %s", failure.track, failure.reason)


def evaluate(
    separator: Separator,
    tracks: Sequence[Track],
    folder: Path,
    *,
    jobs: int = 1,
    on_scores: OnScores = lambda scores: None,
    on_failure: OnFailure = _logged,
) -> list[Scores]:
    """Return the scores of all ``tracks``, and keep each of them as ``folder/TRACK.json``.

    A track is not run again if its file was made by the same model, weights, settings and version from the same audio;
    otherwise its scores are computed and written again. A track that cannot be read, separated or scored is passed to
    ``on_failure`` (by default it is logged) and missing from the result; the others are still scored. Separation uses
    all processors for one track at a time, and scoring is spread over ``jobs`` processes.

    Raises `OptionError` if ``folder`` cannot be created, and `ModelError` if the weights cannot be read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"cannot save scores in {folder}: {error.strerror or error}") from error
    origin = origin_of(separator)
    finished: list[Scores] = []
    pending: deque[_Job] = deque()

    def finish(scores: Scores) -> None:
        finished.append(scores)
        on_scores(scores)

    with _Scorers(jobs) as scorers:

        def settle() -> None:
            job = pending.popleft()
            try:
                scores = scorers.result(job)
            except Exception as error:
                on_failure(_failure(job.track, error))
            else:
                finish(scores)

        for track in named_apart(tracks):
            path = folder / f"{track.name}.json"
            try:
                its_origin = origin.of(track)
                known = read_scores(path, its_origin)
                job = None if known else scorers.submit(track.name, _separated(separator, track, path, its_origin))
            except Cancelled:
                raise
            except Exception as error:  # one track must not end the run, whatever is wrong with it
                on_failure(_failure(track.name, error))
                continue
            if known is not None:
                finish(known)
            if job is not None:
                pending.append(job)
            while len(pending) > 2 * jobs:
                settle()
        while pending:
            settle()
    return sorted(finished, key=lambda scores: scores.track)


def _separated(separator: Separator, track: Track, path: Path, origin: Origin) -> tuple[Any, ...]:
    """The arguments of `score` after the track's name: what the separation gave."""
    recording = track.read()
    started = time.perf_counter()
    estimates = separator.separate(recording.mixture, recording.sample_rate)
    elapsed = time.perf_counter() - started
    pairs = matched(estimates, recording.references)
    unmatched = without_reference(estimates, recording.references)
    return pairs, unmatched, recording.sample_rate, elapsed, recording.notes, path, origin


@dataclass(frozen=True)
class _Job:
    track: str
    arguments: tuple[Any, ...]
    future: Future[Scores]


class _Scorers:
    """Processes that score; a track during which one of them dies is tried once more, alone."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool = self._new_pool(jobs)

    def __enter__(self) -> _Scorers:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(self, track: str, arguments: tuple[Any, ...]) -> _Job:
        try:
            future = self._begin(self._pool, score, track, *arguments)
        except BrokenProcessPool:  # by an earlier track
            self._pool = self._new_pool(self._jobs)
            future = self._begin(self._pool, score, track, *arguments)
        return _Job(track, arguments, future)

    def result(self, job: _Job) -> Scores:
        try:
            return job.future.result()
        except BrokenProcessPool:
            with self._new_pool(1) as alone:
                return self._begin(alone, score, job.track, *job.arguments).result()

    @staticmethod
    def _new_pool(jobs: int) -> ProcessPoolExecutor:
        n_processes = min(jobs, MOST_ON_WINDOWS) if sys.platform == "win32" else jobs
        with _for_scoring():  # a process of Python's own, which tracks what pools share, starts here
            return ProcessPoolExecutor(n_processes, mp_context=multiprocessing.get_context("spawn"))

    @staticmethod
    def _begin(pool: ProcessPoolExecutor, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> Future[T]:
        with _for_scoring():  # a pool starts its processes when it is given something to do
            return pool.submit(work, *arguments, **options)


def _for_scoring() -> AbstractContextManager[None]:
    """Inside, processes are started for scoring; the user's own later ones are not to have these variables."""
    return environment({name: value for name, value in FOR_SCORING.items() if name not in os.environ})


def _failure(track: str, error: Exception) -> Failure:
    log.debug("%s: traceback", track, exc_info=error)
    if isinstance(error, UnweaveError):
        reason = str(error)
    elif isinstance(error, BrokenProcessPool):
        reason = "the process that scored it ended abruptly; perhaps it ran out of memory"
    elif isinstance(error, OSError) and error.strerror:
        reason = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Failure(track, " ".join(reason.split()))
