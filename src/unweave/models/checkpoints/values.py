"""What a pickle becomes: plain Python values, and inert stand-ins for everything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import PurePosixPath

import numpy as np

from unweave.errors import CheckpointError
from unweave.models.checkpoints.tensors import shown

MAX_PLAIN_VALUES = 200_000  # lists that share lists can unfold to more values than any memory holds
MAX_PLAIN_DEPTH = 64


@dataclass(frozen=True)
class Name:
    """The name of a class or function that a pickle mentions. It is never imported."""

    path: str  # "module.name"


@dataclass(eq=False)
class Record:
    """An object of a class that holds settings: what it would be created from. It is never created."""

    name: str
    args: tuple[object, ...]
    state: object = None
    entries: dict[object, object] = field(default_factory=dict)  # of those that are dictionaries
    elements: list[object] = field(default_factory=list)  # of those that are lists


class NotPlain(Exception):
    """The value holds arrays, or something else that is not a setting."""


def plain(value: object) -> object:
    """``value`` as numbers, strings, lists, tuples and dictionaries alone.

    Raises `NotPlain` where it holds arrays, and `CheckpointError` where it contains itself or unfolds to too much.
    """
    return _Plain().convert(value, 0)


class _Plain:
    def __init__(self) -> None:
        self._n_values = 0

    def convert(self, value: object, depth: int) -> object:
        self._n_values += 1
        if self._n_values > MAX_PLAIN_VALUES:
            raise CheckpointError(f"the settings inside unfold to more than {MAX_PLAIN_VALUES} values")
        if depth > MAX_PLAIN_DEPTH:
            raise CheckpointError(f"the settings inside are nested more than {MAX_PLAIN_DEPTH} deep, or in themselves")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Name):
            return value.path
        if isinstance(value, dict):
            return {self._key(key, depth): self.convert(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.convert(item, depth + 1) for item in value]
        if isinstance(value, tuple):
            return tuple(self.convert(item, depth + 1) for item in value)
        if isinstance(value, Record):
            return self._record(value, depth)
        return self._other(value)

    def _other(self, value: object) -> object:
        if isinstance(value, Fraction):
            return value
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, np.generic):
            return value.item()
        raise NotPlain

    def _record(self, record: Record, depth: int) -> object:
        state = record.state
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[0], dict):
            state = state[0]  # with slots
        if record.name.startswith("omegaconf.") and isinstance(state, dict):
            for part in ("_content", "_val"):
                if part in state:
                    return self.convert(state[part], depth + 1)
        if record.name.startswith("ml_collections.") and isinstance(state, dict) and "_fields" in state:
            return self.convert(state["_fields"], depth + 1)
        if record.entries:
            return self.convert(record.entries, depth + 1)
        if record.elements:
            return self.convert(record.elements, depth + 1)
        if record.name.startswith("pathlib."):
            return str(PurePosixPath(*(part for part in record.args if isinstance(part, str))))
        if isinstance(state, dict):
            return self.convert(state, depth + 1)
        return self.convert(record.args[0], depth + 1) if len(record.args) == 1 else {"class": shown(record.name)}

    def _key(self, key: object, depth: int) -> object:
        return key.path if isinstance(key, Name) else key if not isinstance(key, tuple) else str(key)
