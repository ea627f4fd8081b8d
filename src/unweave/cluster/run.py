"""All files of a catalogue over a pool of workers: none is lost, none is done twice at once, none stops the rest."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from unweave.cluster.journal import CatalogueJournal
from unweave.cluster.songs import find_songs
from unweave.cluster.worker import Result, Work, Worker
from unweave.errors import AudioWriteError, OptionError, UnweaveError

log = logging.getLogger(__name__)

COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
OWN_ERROR = re.compile(r"^unweave\.errors\.\w+: ")

IN_FLIGHT_PER_WORKER = 2  # one is computed while the next waits: more would only be lost with the worker
RETRIES = 3  # of a file whose worker dies; one that kills four workers is at fault itself


@dataclass
class Summary:
    """How a run went."""

    done: int = 0
    skipped: int = 0
    failed: list[Result] = field(default_factory=list)
    seconds: float = 0.0  # from the first file to the last, without starting Ray and loading models
    start_seconds: float = 0.0


def run_on_ray(
    work: Work,
    *,
    address: str | None = None,
    workers: int | None = None,
    cpus_per_worker: float = 1.0,
    gpus_per_worker: float = 0.0,
    skip_existing: bool = True,
    on_result: Callable[[Result], None] = lambda result: None,
    on_start: Callable[[int, Sequence[Any]], None] = lambda n_files, actors: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Separate every audio file below ``work.source``; the order is that of completion.

    A journal in ``work.target`` notes what is done; with ``skip_existing`` songs are skipped whose stems are there,
    from the same file and with the same settings. A song whose stems would overwrite an input or another song's stems
    fails, and its error names both.

    Without ``address`` a Ray of its own is started on this machine, and stopped at the end. A worker that dies is
    started again, and its files are given to the next that is free. Raises `OptionError` where Ray cannot be had.
    """
    summary, started = Summary(), time.monotonic()
    work.source.check()
    work.target.check()
    _connect(address)
    try:
        remote: Any = ray.remote(num_cpus=cpus_per_worker, num_gpus=gpus_per_worker)(Worker)
        actors = [remote.remote(work)]
        songs = find_songs(work.source, work.target, ray.get(actors[0].chosen_stems.remote()), work.output)
        n_workers = workers or max(1, int(_processors() // cpus_per_worker))
        actors += [remote.remote(work) for _ in range(min(n_workers, len(songs)) - 1)]
        with closing(CatalogueJournal(work.source, work.target, work.settings())) as journal:
            refused = [song for song in songs if song.error]
            todo = [song.name for song in songs if not (song.error or (skip_existing and journal.is_done(song)))]
            summary.skipped = len(songs) - len(refused) - len(todo)
            ray.get([actor.process_number.remote() for actor in actors])
            summary.start_seconds = time.monotonic() - started
            on_start(len(refused) + len(todo), actors)
            started = time.monotonic()
            results = _results(todo, actors, lambda: remote.remote(work), should_stop)
            for result in chain((Result(song.name, {}, song.error) for song in refused), results):
                if result.error:
                    summary.failed.append(result)
                else:
                    summary.done += 1
                    _record(journal, result)
                on_result(result)
        summary.seconds = time.monotonic() - started
    except RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, UnweaveError):
            raise cause from error
        raise OptionError(f"Ray cannot start the workers: {_one_line(error)}") from error
    finally:
        ray.shutdown()
    return summary


def _record(journal: CatalogueJournal, result: Result) -> None:
    """Note that a song is done; where that cannot be written, its stems are there all the same."""
    try:
        if result.source:
            journal.record(result.source, result.stamps)
    except AudioWriteError as error:
        log.warning("%s is done, but the next run will separate it again: %s", result.name, error)


def _processors() -> float:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources.get("CPU", 1.0)


def _connect(address: str | None) -> None:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported about the user's machines
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        options |= {"include_dashboard": False}
    try:
        ray.init(address=address or "local", **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise OptionError(f"there is no Ray cluster at {address}: {_one_line(error)}") from error


def _results(
    todo: Sequence[str], actors: list[Any], new_actor: Callable[[], Any], should_stop: Callable[[], bool]
) -> Iterator[Result]:
    """Results as they come; never more files under way than `IN_FLIGHT_PER_WORKER` for each worker.

    A dead actor is replaced in ``actors``, by one that Ray may put on another node.
    """
    waiting = [(name, 0) for name in reversed(todo)]
    pending: dict[Any, tuple[str, int, Any]] = {}
    load = dict.fromkeys(actors, 0)
    while (waiting and not should_stop()) or pending:
        for actor in sorted(actors, key=load.__getitem__):
            while waiting and load[actor] < IN_FLIGHT_PER_WORKER and not should_stop():
                name, attempt = waiting.pop()
                pending[actor.separate.remote(name)] = (name, attempt, actor)
                load[actor] += 1
        finished, _ = ray.wait(list(pending), timeout=1.0)
        for reference in finished:
            name, attempt, actor = pending.pop(reference)
            load[actor] -= 1
            try:
                yield ray.get(reference)
            except RayActorError as error:
                if actor in actors:
                    actors[actors.index(actor)] = replacement = new_actor()
                    load[replacement] = 0
                if attempt < RETRIES:
                    waiting.append((name, attempt + 1))
                else:
                    yield Result(name, {}, f"its worker died {RETRIES + 1} times: {_one_line(error)}")
            except RayError as error:
                yield Result(name, {}, _one_line(error))


def write_lines(result: Result) -> str:
    """``result`` as one line of JSON."""
    return json.dumps({"file": result.name, "stems": result.stems, "error": result.error})


def _one_line(error: BaseException) -> str:
    """What an error of Ray's comes down to: the last line of its traceback, without colours."""
    lines = [line.strip() for line in COLOURS.sub("", str(error)).splitlines() if line.strip()]
    return OWN_ERROR.sub("", lines[-1])[:500] if lines else type(error).__name__
