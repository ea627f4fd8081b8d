"""All files of a catalogue over a pool of workers: none is lost, none is done twice at once, none stops the rest."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from unweave.cluster.worker import Result, Work, Worker
from unweave.errors import OptionError

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

    Without ``address`` a Ray of its own is started on this machine, and stopped at the end. A worker that dies is
    started again, and its files are given to the next that is free. Raises `OptionError` where Ray cannot be had.
    """
    names = work.source.audio_files()
    summary, started = Summary(), time.monotonic()
    _connect(address)
    try:
        n_workers = workers or max(1, int(_processors() // cpus_per_worker))
        remote: Any = ray.remote(num_cpus=cpus_per_worker, num_gpus=gpus_per_worker)(Worker)
        actors = [remote.remote(work) for _ in range(min(n_workers, len(names)))]
        todo = _missing(names, actors[0], work) if skip_existing else list(names)
        summary.skipped = len(names) - len(todo)
        ray.get([actor.process_number.remote() for actor in actors])
        summary.start_seconds = time.monotonic() - started
        on_start(len(todo), actors)
        started = time.monotonic()
        for result in _results(todo, actors, lambda: remote.remote(work), should_stop):
            if result.error:
                summary.failed.append(result)
            else:
                summary.done += 1
            on_result(result)
        summary.seconds = time.monotonic() - started
    except RayError as error:
        raise OptionError(f"Ray cannot run the workers: {_one_line(error)}") from error
    finally:
        ray.shutdown()
    return summary


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
        raise OptionError(f"there is no Ray at {address}: {_one_line(error)}") from error


def _missing(names: Sequence[str], actor: Any, work: Work) -> list[str]:
    """The files whose stems are not all there."""
    there = work.target.names()
    if not there:
        return list(names)
    targets = ray.get([actor.stem_names.remote(name) for name in names])
    return [name for name, stems in zip(names, targets, strict=True) if not set(stems.values()) <= there]


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
    return " ".join(str(error).split())[:500]
