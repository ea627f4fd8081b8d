"""Many files through one Separator: several at a time, and one bad file does not stop the rest."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from unweave.errors import AudioWriteError, Cancelled, OptionError, UnweaveError
from unweave.separation.batch_options import BatchOptions as BatchOptions
from unweave.separation.journal import Journal, file_state
from unweave.separation.outcome import Outcome, Task
from unweave.separation.plan import Planner
from unweave.separation.progress import Progress
from unweave.separation.search import find_tasks as find_tasks
from unweave.separation.separator import Separator

log = logging.getLogger(__name__)

# Called from the job's thread.
OnFileProgress = Callable[[Path, Progress], None]
# Called from the caller's thread.
OnOutcome = Callable[[Outcome], None]


def separate_files(
    separator: Separator,
    tasks: Sequence[Task],
    options: BatchOptions,
    *,
    on_progress: OnFileProgress = lambda source, progress: None,
    on_outcome: OnOutcome = lambda outcome: None,
    interrupted: threading.Event | None = None,
    journal: Journal | None = None,
) -> list[Outcome]:
    """Separate all files. What goes wrong with one of them is reported in its outcome; the rest are still separated.

    A file that was given under several paths is separated once. ``journal`` records what has been done. With
    ``skip_existing``, a file is skipped if the journal says that its stems are there. `OptionError` is raised if there
    is no journal then, and for a template that fits no song. An interrupt stops the jobs and is raised again.
    ``interrupted`` is an event that stops them too, and then raises KeyboardInterrupt.
    """
    if options.skip_existing and journal is None:
        raise OptionError("skip_existing needs a journal that says what the stems were made from")
    stop = interrupted or threading.Event()
    outcomes: list[Outcome] = []

    def finish(outcome: Outcome) -> None:
        outcomes.append(outcome)
        on_outcome(outcome)

    def separate(task: Task) -> Outcome:
        def report(progress: Progress) -> bool:
            on_progress(task.source, progress)
            return not stop.is_set()

        if stop.is_set():
            return Outcome(task.source, "failed", error=Cancelled("interrupted"))
        try:
            return Outcome(task.source, "done", _separate(separator, task, options, journal, report))
        except Exception as error:
            return _failed(task, error)

    planner = Planner([task.source for task in tasks], separator.stem_names(options.stems), options.output)
    todo: list[Task] = []
    for task in tasks:
        outcome = _planned(planner, task, options, journal)
        if outcome is None:
            todo.append(task)
        elif outcome.stems or outcome.error:
            finish(outcome)

    if options.jobs == 1:  # in this very thread: an interrupt goes straight through, and there is one heap less
        for task in todo:
            outcome = separate(task)
            if stop.is_set():
                raise KeyboardInterrupt
            finish(outcome)
        return outcomes
    with ThreadPoolExecutor(options.jobs, thread_name_prefix="unweave-job") as executor:
        pending: set[Future[Outcome]] = set()
        try:
            for task in todo:
                pending.add(executor.submit(separate, task))
                while len(pending) > options.jobs:
                    pending = _collect(pending, finish)
            while pending:
                pending = _collect(pending, finish)
            if stop.is_set():
                raise KeyboardInterrupt
        except BaseException:
            stop.set()
            for future in pending:
                future.cancel()
            raise
    return outcomes


def _collect(pending: set[Future[Outcome]], finish: OnOutcome) -> set[Future[Outcome]]:
    done, rest = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
    for future in done:
        outcome = future.result()
        if not isinstance(outcome.error, Cancelled):
            finish(outcome)
    return rest


def _planned(planner: Planner, task: Task, options: BatchOptions, journal: Journal | None) -> Outcome | None:
    """What is known of ``task`` before any work; None: it is to be separated.

    A skipped outcome without stems stands for a file that another task is about already.
    """
    try:
        if task.error is not None:
            raise task.error
        paths = planner.paths(task)
        if paths is None:
            return Outcome(task.source, "skipped")
        if options.skip_existing and journal is not None and journal.is_done(task.source, paths.values()):
            return Outcome(task.source, "skipped", paths)
        replaced = None if journal is None else journal.replaced_source(task.source, paths.values())
        if replaced is not None:
            log.warning("%s: its stems replace those of %s, which have the same paths", task.source, replaced)
    except Exception as error:
        return _failed(task, error)
    return None


def _separate(
    separator: Separator,
    task: Task,
    options: BatchOptions,
    journal: Journal | None,
    on_progress: Callable[[Progress], bool],
) -> dict[str, Path]:
    before = file_state(task.source)
    track: dict[str, Any] = {} if options.track is None else {"track": options.track}
    paths = separator.separate_file(
        task.source,
        task.folder,
        options.output,
        stems=options.stems,
        offset_seconds=options.offset_seconds,
        duration_seconds=options.duration_seconds,
        on_progress=on_progress,
        **track,
    )
    if journal is not None:
        try:
            journal.record(before, task.source, paths.values())
        except AudioWriteError as error:
            log.warning("%s is done, but --skip_existing will separate it again: %s", task.source, error)
    return paths


def _failed(task: Task, error: Exception) -> Outcome:
    """``error`` as the outcome of one file; what nobody foresaw goes to the log with its traceback."""
    if isinstance(error, UnweaveError):
        return Outcome(task.source, "failed", error=error)
    log.error("%s: unexpected error", task.source, exc_info=error)
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Outcome(task.source, "failed", error=UnweaveError(f"cannot separate {task.source}: {said}"))
