"""What a run over many files does with each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from unweave.audio.arguments import checked_duration, checked_number, checked_offset, checked_track
from unweave.separation.output import OutputOptions

MOST_JOBS = 1024


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
        # As plain numbers, so that a journal knows 1 and 1.0 for the same settings.
        object.__setattr__(self, "offset_seconds", checked_offset(self.offset_seconds))
        object.__setattr__(self, "duration_seconds", checked_duration(self.duration_seconds))
        object.__setattr__(self, "track", checked_track(self.track))
        object.__setattr__(self, "jobs", checked_number(self.jobs, "jobs", 1, MOST_JOBS))
