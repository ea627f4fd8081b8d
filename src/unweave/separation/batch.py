"""Many files through one Separator: several at a time, and one bad file does not stop the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from unweave.audio.encode import remove_orphans
from unweave.audio.formats import READABLE_EXTENSIONS
from unweave.errors import AudioReadError, Cancelled, OptionError, UnweaveError
from unweave.separation.journal import Journal
from unweave.separation.outcome import Outcome, Task
from unweave.separation.output import OutputOptions, stem_paths
from unweave.separation.progress import Progress
from unweave.separation.separator import Separator


@dataclass(frozen=True)
class BatchOptions:
    """What is done with each file."""

    output: OutputOptions = field(default_factory=OutputOptions)
    stems: tuple[str, ...] | None = None  # None: all
    offset_seconds: float = 0.0
    duration_seconds: float | None = None  # None: to the end
    skip_existing: bool = False  # leave files alone whose stems are all there
    jobs: int = 1  # files at a time


# Called from the job's thread.
OnFileProgress = Callable[[Path, Progress], None]
# Called from the caller's thread.
OnOutcome = Callable[[Outcome], None]


def find_tasks(sources: Iterable[Path], output_folder: Path, *, recursive: bool = False) -> list[Task]:
    """Files as they are; folders as the audio files in them, with ``recursive`` in all folders below as well.

    Below a folder the tree is kept: ``album/disc 1/song.mp3`` goes to ``output/disc 1/…``. Raises `AudioReadError` for
    a folder without any audio file.
    """
    tasks = []
    for source in sources:
        if not source.is_dir():
            tasks.append(Task(source, output_folder))
            continue
        pattern = "**/*" if recursive else "*"
        found = sorted(path for path in source.glob(pattern) if _is_audio(path))
        if not found:
            hint = "" if recursive else " (its subfolders are searched with --recursive)"
            raise AudioReadError(f"no audio files in the folder {source}{hint}")
        tasks += [Task(path, output_folder / path.relative_to(source).parent) for path in found]
    return tasks


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
    """Separate all files; errors are outcomes, never raised. An interrupt stops the jobs, and is raised again.

    ``journal`` remembers what is done; with ``skip_existing`` it tells whether stems are of this very file.
    ``interrupted`` is an event that stops them as well, and then raises KeyboardInterrupt.
    """
    stop = interrupted or threading.Event()
    outcomes: list[Outcome] = []
    todo: list[Task] = []

    def finish(outcome: Outcome) -> None:
        outcomes.append(outcome)
        on_outcome(outcome)

    taken: dict[Path, Path] = {}
    for task in tasks:
        try:
            paths = _plan(separator, task, options, taken)
        except UnweaveError as error:
            finish(Outcome(task.source, "failed", error=error))
            continue
        is_there = all(path.is_file() for path in paths.values())
        if options.skip_existing and (journal.is_done(task, list(paths.values())) if journal else is_there):
            finish(Outcome(task.source, "skipped", paths))
        else:
            todo.append(task)
            remove_orphans({path.parent for path in paths.values()})

    def separate(task: Task) -> Outcome:
        def report(progress: Progress) -> bool:
            on_progress(task.source, progress)
            return not stop.is_set()

        if stop.is_set():
            return Outcome(task.source, "failed", error=Cancelled("interrupted"))
        try:
            paths = separator.separate_file(
                task.source,
                task.folder,
                options.output,
                stems=options.stems,
                offset_seconds=options.offset_seconds,
                duration_seconds=options.duration_seconds,
                on_progress=report,
            )
            if journal is not None:
                journal.record(task)
        except UnweaveError as error:
            return Outcome(task.source, "failed", error=error)
        return Outcome(task.source, "done", paths)

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


def _plan(separator: Separator, task: Task, options: BatchOptions, taken: dict[Path, Path]) -> dict[str, Path]:
    """The paths of a task's stems; raises `OptionError` where another file of the batch has one of them."""
    paths = stem_paths(task.source, task.folder, separator.stem_names(options.stems), options.output)
    for path in paths.values():
        other = taken.setdefault(path, task.source)
        if other != task.source:
            raise OptionError(f"{path} is already taken by {other}; separate them into different folders")
    return paths


def _is_audio(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix[1:].lower() in READABLE_EXTENSIONS
