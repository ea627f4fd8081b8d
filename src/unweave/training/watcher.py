"""What a training run tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass

from unweave.models.spec import MaskModelSpec
from unweave.training.validation import Validation


@dataclass(frozen=True)
class Step:
    """What one step is worth telling."""

    number: int
    loss: float
    learning_rate: float
    segments_per_second: float  # over all processes
    gigaflops: float  # per second, of the network alone
    seconds_left: float


class Watcher:
    """Is told how a run goes on; this one keeps it to itself. Of several processes, only the main one is watched."""

    def decoding(self, done: int, total: int, name: str) -> None:
        """A track is being decoded into the cache."""

    def started(self, spec: MaskModelSpec, n_parameters: int, first_step: int, n_steps: int) -> None:
        """Training begins, or goes on."""

    def step(self, step: Step) -> None:
        """Some steps were made."""

    def validated(self, step: int, validation: Validation, is_best: bool) -> None:
        """The held-out tracks were separated."""
