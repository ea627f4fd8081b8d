"""Several networks of which each is trusted with some of the stems, as Demucs' bags say it (``htdemucs_ft.yaml``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unweave.errors import CheckpointError

MAX_MEMBERS = 64


@dataclass(frozen=True)
class Bag:
    """Members by their signatures, and how much each of them weighs in each stem: (members, stems)."""

    members: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...] = ()  # none: all weigh the same

    def shares(self, n_stems: int) -> list[list[float]]:
        """For each member its share of each stem; the shares of a stem sum to one. Raises `CheckpointError`."""
        weights = self.weights or tuple((1.0,) * n_stems for _ in self.members)
        if any(len(row) != n_stems for row in weights):
            raise CheckpointError(
                f"the bag has weights for {len(weights[0])} stems, but its networks separate {n_stems}"
            )
        totals = [sum(column) for column in zip(*weights, strict=True)]
        if not all(total > 0 for total in totals):
            raise CheckpointError("the bag gives no weight at all to one of the stems")
        return [[weight / total for weight, total in zip(row, totals, strict=True)] for row in weights]


def read_bag(configuration: Mapping[str, object]) -> Bag | None:
    """The bag that a YAML file of Demucs describes, or None for other settings. Raises `CheckpointError`."""
    members, weights = configuration.get("models"), configuration.get("weights") or ()
    if not isinstance(members, Sequence) or isinstance(members, str):
        return None
    if not members or len(members) > MAX_MEMBERS or not all(isinstance(name, str) and name for name in members):
        raise CheckpointError("a bag must list the signatures of its networks under models")
    if not isinstance(weights, Sequence) or not all(
        isinstance(row, Sequence) and not isinstance(row, str) and all(_is_weight(weight) for weight in row)
        for row in weights
    ):
        raise CheckpointError("the weights of a bag must be a list of numbers for each network")
    if weights and len(weights) != len(members):
        raise CheckpointError(f"the bag has {len(members)} networks, but weights for {len(weights)}")
    return Bag(tuple(members), tuple(tuple(float(weight) for weight in row) for row in weights))


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
