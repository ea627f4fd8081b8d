"""What a training run shows: a live bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import rich.progress
from rich.console import Console

from unweave.cli.console import visible
from unweave.models.spec import MaskModelSpec
from unweave.training.validation import Validation
from unweave.training.watcher import Step, Watcher

SECONDS_BETWEEN_LINES = 30.0


class ShownRun(Watcher):
    """Shows decoding, steps and scores on stderr; validations stay on the screen."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            disable=not sys.stderr.isatty(),
        )
        self._task: rich.progress.TaskID | None = None
        self._last_what, self._last_line = "", 0.0
        self._n_steps = 0

    def __enter__(self) -> ShownRun:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def decoding(self, done: int, total: int, name: str) -> None:
        """See `Watcher`."""
        self._show(done, total, "decoding", visible(name))

    def started(self, spec: MaskModelSpec, n_parameters: int, first_step: int, n_steps: int) -> None:
        """See `Watcher`."""
        self._task = None
        self._n_steps = n_steps
        start = f", from step {first_step}" if first_step else ""
        self._say(f"{', '.join(spec.stems)}: {n_parameters / 1e6:.2f} million parameters, {n_steps} steps{start}")

    def step(self, step: Step) -> None:
        """See `Watcher`."""
        note = (
            f"loss {step.loss:.4f}  {step.segments_per_second:.1f} segments/s  {step.gigaflops:.0f} GFLOP/s  "
            f"{_duration(step.seconds_left)} left"
        )
        self._show(step.number, self._n_steps, "step", note)

    def validated(self, step: int, validation: Validation, is_best: bool) -> None:
        """See `Watcher`."""
        scores = "  ".join(f"{stem} {value:.2f}" for stem, value in validation.sdr_db.items())
        self._say(f"step {step}: SDR {scores}{'  (best)' if is_best else ''}")

    def _show(self, done: int, total: int, what: str, note: str) -> None:
        if self._bar.disable:
            if what != self._last_what or time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
                self._last_what, self._last_line = what, time.monotonic()
                self._say(f"{what} {done} of {total}  {note}")
            return
        if self._task is None:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._task = self._bar.add_task(what, total=total, note=note)
        self._bar.update(self._task, completed=done, note=note)

    def _say(self, text: str) -> None:
        self._console.print(visible(text), markup=False, highlight=False, soft_wrap=True)  # names may have brackets


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
