"""What a run over many files does with each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from unweave.errors import OptionError
from unweave.separation.output import OutputOptions


@dataclass(frozen=True)
class BatchOptions:
    """What is done with each file. Raises `OptionError` for numbers that make no sense."""

    output: OutputOptions = field(default_factory=OutputOptions)
    stems: tuple[str, ...] | None = None  # None: all
    offset_seconds: float = 0.0
    duration_seconds: float | None = None  # None: to the end
    track: int | None = None  # which audio track, counted from 0; None: the file's default
    skip_existing: bool = False  # skip files whose stems are there, made from the same file with the same settings
    jobs: int = 1  # files at a time

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset_seconds) and self.offset_seconds >= 0):
            raise OptionError(f"expected an offset of 0 seconds or more, got {self.offset_seconds:g}")
        duration = self.duration_seconds
        if duration is not None and not (math.isfinite(duration) and duration > 0):
            raise OptionError(f"expected a duration of more than 0 seconds, got {duration:g}")
        if self.track is not None and self.track < 0:
            raise OptionError(f"expected an audio track of 1 or more, got {self.track + 1}")
        if self.jobs < 1:
            raise OptionError(f"expected at least one job, got {self.jobs}")
