"""The output of a running separation: a live bar on a terminal, plain lines in a log, JSON for other programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Protocol

from unweave.cli.console import shown_path, visible
from unweave.cli.failures import fail
from unweave.separation.outcome import Outcome
from unweave.separation.progress import Progress


class Reporter(Protocol):
    """Shows downloads, progress and outcomes."""

    def __enter__(self) -> Reporter: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    def downloading(self, done: int, total: int | None, label: str) -> None: ...
    def progress(self, source: Path, progress: Progress) -> None: ...
    def outcome(self, outcome: Outcome) -> None: ...


def make_reporter(*, as_json: bool) -> Reporter:
    """The reporter that suits stdout and stderr as they are."""
    if as_json:
        return JsonReporter()
    return LiveReporter() if sys.stderr.isatty() else PlainReporter()


class JsonReporter:
    """One JSON object per line on stdout; ``event`` is download, progress, done, skipped or failed.

    It is ASCII: names come through any console, also those that are not Unicode.
    """

    def __enter__(self) -> JsonReporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def downloading(self, done: int, total: int | None, label: str) -> None:
        self._emit(event="download", done_bytes=done, total_bytes=total, label=label)

    def progress(self, source: Path, progress: Progress) -> None:
        self._emit(
            event="progress",
            file=str(source),
            done_seconds=round(progress.done_seconds, 3),
            total_seconds=progress.total_seconds,
        )

    def outcome(self, outcome: Outcome) -> None:
        self._emit(
            event=outcome.status,
            file=str(outcome.source),
            stems={name: str(path) for name, path in outcome.stems.items()},
            error=str(outcome.error) if outcome.error else None,
        )
        if outcome.error:
            fail(str(outcome.error))

    def _emit(self, **fields: object) -> None:
        print(json.dumps(fields), flush=True)


class PlainReporter:
    """A line per download and per file, for logs and pipes."""

    def __init__(self) -> None:
        self._announced: set[str] = set()

    def __enter__(self) -> PlainReporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def downloading(self, done: int, total: int | None, label: str) -> None:
        if label not in self._announced:
            self._announced.add(label)
            print(f"fetching weights: {label}", file=sys.stderr, flush=True)

    def progress(self, source: Path, progress: Progress) -> None:
        pass

    def outcome(self, outcome: Outcome) -> None:
        if outcome.error:
            fail(str(outcome.error))
        else:
            verb = "kept" if outcome.status == "skipped" else "wrote"
            for path in dict.fromkeys(outcome.stems.values()):  # one file may hold several stems
                print(f"{verb} {shown_path(path)}", flush=True)


class LiveReporter(PlainReporter):
    """A bar per file with the time left."""

    def __init__(self) -> None:
        super().__init__()
        import rich.console
        import rich.progress

        self._console = rich.console.Console(stderr=True)
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.TaskProgressColumn(),
            rich.progress.TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, rich.progress.TaskID] = {}

    def __enter__(self) -> LiveReporter:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def downloading(self, done: int, total: int | None, label: str) -> None:
        self._update(f"fetching {label}", done, total)

    def progress(self, source: Path, progress: Progress) -> None:
        self._update(str(source), progress.done_seconds, progress.total_seconds, source.name)

    def outcome(self, outcome: Outcome) -> None:
        task = self._tasks.pop(str(outcome.source), None)
        if task is not None:
            self._bars.remove_task(task)
        super().outcome(outcome)

    def _update(self, key: str, done: float, total: float | None, label: str | None = None) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(_shortened(label or key), total=total)
        self._bars.update(self._tasks[key], completed=done, total=total)


def _shortened(label: str, length: int = 40) -> str:
    from rich.markup import escape

    label = visible(label)
    return escape(label if len(label) <= length else label[: length - 1] + "…")
