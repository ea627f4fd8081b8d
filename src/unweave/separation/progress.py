"""How far a separation has got, and how the caller can stop it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unweave.errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """How far a separation has got, in seconds of audio."""

    done_seconds: float
    total_seconds: float | None  # None where the source does not say


# Called now and then in the caller's own thread; returning False cancels, and `Cancelled` is raised.
OnProgress = Callable[[Progress], object]


class Meter:
    """Turns seconds of audio done, over all passes, into calls of ``on_progress``."""

    def __init__(self, on_progress: OnProgress | None, total_seconds: float | None, n_passes: int) -> None:
        self._on_progress = on_progress
        self._total_seconds = total_seconds
        self._n_passes = n_passes
        self._done = 0.0

    def advance(self, seconds: float) -> None:
        """Report progress. Raises `Cancelled` if the callback asks to stop."""
        self._done += seconds / self._n_passes
        if self._on_progress is not None and self._on_progress(Progress(self._done, self._total_seconds)) is False:
            raise Cancelled("the separation was cancelled")
