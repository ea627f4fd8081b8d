"""Find the weights in a checkpoint, and the settings around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from unweave.errors import CheckpointError
from unweave.models.checkpoints.storages import TensorReference
from unweave.models.checkpoints.values import NotPlain, Record, plain

# Where trainers put the weights, most telling name first. Demucs' has the last weights beside the best ones, which it
# exports.
WRAPPERS = (
    "state_dict", "model_state_dict", "best_state", "state", "model", "net", "network", "generator", "weights",
    "params", "ema", "ema_state_dict", "model_ema", "module",
)  # fmt: skip
# What is never the weights, though it may hold arrays.
TRAINING = {
    "optimizer", "optimizers", "optimizer_states", "optimizer_state_dict", "scheduler", "lr_schedulers", "scaler",
}  # fmt: skip
# Prefixes that wrappers of a network add to all its names.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "generator.", "ema_model.")
COUNTERS = {"n_averaged"}  # of PyTorch's AveragedModel
MAX_DEPTH = 8
MAX_NAMES = 200_000

Item = TypeVar("Item")
Weights = dict[str, "TensorReference | np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]


def find_weights(value: object) -> tuple[Weights, dict[str, object]]:
    """The weights in ``value`` by name, without prefixes that all share, and the plain data around them.

    Raises `CheckpointError` where there are no weights.
    """
    search = _Search()
    weights = search.find(value, 0)
    if not weights:
        raise CheckpointError("it holds no weights")
    return without_prefixes(weights), search.settings


class _Search:
    """A walk through nested dictionaries, which may share parts and so unfold to far more than the file holds."""

    def __init__(self) -> None:
        self.settings: dict[str, object] = {}
        self._holding: dict[int, bool] = {}
        self._n_seen = 0

    def find(self, value: object, depth: int) -> Weights:
        entries = _entries(value)
        if entries is None:
            raise CheckpointError("it contains no dictionary of weights")
        if depth > MAX_DEPTH:
            raise CheckpointError(f"the weights are nested more than {MAX_DEPTH} deep")
        self._n_seen += len(entries)
        if self._n_seen > MAX_NAMES:
            raise CheckpointError(f"the weights unfold to more than {MAX_NAMES} names")
        if "__quantized" in entries:
            raise CheckpointError("its weights are quantised by DiffQ, which is not supported")
        holding = {
            name: item for name, item in entries.items() if name not in TRAINING and self._holds(item, depth + 1)
        }
        wrapper = next((name for name in WRAPPERS if name in holding), None)
        if wrapper is not None:
            self._collect(entries, {wrapper})
            return self.find(holding[wrapper], depth + 1)
        arrays: Weights = {
            name: item for name, item in entries.items() if isinstance(item, TensorReference | np.ndarray)
        }
        if arrays:
            self._collect(entries, set(arrays))
            return arrays
        self._collect(entries, set(holding))
        if len(holding) == 1:
            return self.find(next(iter(holding.values())), depth + 1)
        return {
            f"{name}.{inner}": array
            for name, item in holding.items()
            for inner, array in self.find(item, depth + 1).items()
        }

    def _holds(self, value: object, depth: int) -> bool:
        """Whether ``value`` is a dictionary with arrays in it, at any depth."""
        entries = _entries(value)
        if not entries or depth > MAX_DEPTH:
            return False
        if id(value) not in self._holding:
            self._holding[id(value)] = False  # while it is looked at: it may hold itself
            self._holding[id(value)] = any(
                isinstance(item, TensorReference | np.ndarray) or self._holds(item, depth + 1)
                for item in entries.values()
            )
        return self._holding[id(value)]

    def _collect(self, entries: Mapping[str, object], weights: set[str]) -> None:
        """Keep what is plain data; the state of a training is left out."""
        for name, item in entries.items():
            if name in weights or name in TRAINING or isinstance(item, TensorReference):
                continue
            try:
                self.settings.setdefault(name, plain(item))
            except NotPlain:
                continue


def _entries(value: object) -> dict[str, object] | None:
    """A dictionary, also of a subclass, with names as keys; other keys cannot be weights."""
    entries = value.entries if isinstance(value, Record) else value
    if not isinstance(entries, dict):
        return None
    return {key: item for key, item in entries.items() if isinstance(key, str)}


def without_prefixes(weights: Mapping[str, Item]) -> dict[str, Item]:
    """``weights`` without what wrappers of their network put before all names, and without counters of the wrappers."""
    weights = dict(weights)
    while True:
        names = [name for name in weights if name not in COUNTERS]
        prefix = next((p for p in PREFIXES if names and all(name.startswith(p) and name != p for name in names)), None)
        if prefix is None:
            return weights
        weights = {name.removeprefix(prefix): weights[name] for name in names}
