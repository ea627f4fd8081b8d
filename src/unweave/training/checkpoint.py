"""The whole state of a training run in one file, so that going on equals never having stopped."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unweave.errors import CheckpointError, OptionError
from unweave.files import replace_file
from unweave.models.export import spec_from_json

FILE = "checkpoint.pt"


@dataclass
class TrainingState:
    """Where a run stands. Batches, augmentation, learning rate and dropout follow from seed and step alone."""

    step: int = 0
    best_sdr_db: float = float("-inf")
    best_step: int = 0
    n_without_gain: int = 0  # validations since the best
    validated_on: str = ""  # names the held-out segments that the best was the best of
    seconds: float = 0.0  # that training took, over all runs
    curve: list[dict[str, Any]] = field(default_factory=list)  # a validation each: step, seconds, sdr_db
    tensors: dict[str, Any] = field(default_factory=dict)  # network, average, best, optimizer, scaler


def save_checkpoint(state: TrainingState, description: str, folder: Path) -> Path:
    """Write ``state`` with the ``description`` of its model; the old checkpoint stays until the new one is whole."""
    buffer = io.BytesIO()
    # `asdict` would copy each tensor.
    torch.save({**{name: getattr(state, name) for name in asdict(TrainingState())}, "model": description}, buffer)
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, buffer.getvalue())
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def load_checkpoint(folder: Path, description: str) -> TrainingState | None:
    """The state that was saved in ``folder``, if any.

    Raises `OptionError` if it is of another model, `CheckpointError` if it is damaged or holds NaN or infinite weights.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # PyTorch does not look at its checksums
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        saved = torch.load(path, map_location="cpu", weights_only=True)
        known = saved.pop("model")
        state = TrainingState(**saved)
    except Exception as error:  # whatever a damaged pickle turns into
        raise CheckpointError(f"{path} is damaged: {_said(error)}; start over with --restart") from error
    if spec_from_json(known) != spec_from_json(description):
        raise OptionError(f"{path} belongs to another model; choose another output, or start over with --restart")
    if not all_finite(state.tensors):
        raise CheckpointError(f"{path} contains weights that are not finite numbers; start over with --restart")
    return state


def _said(error: Exception) -> str:
    """Its first sentence: PyTorch goes on with how to load what nobody should load."""
    return " ".join(str(error).split()).partition(". ")[0] or type(error).__name__


def all_finite(tensors: object) -> bool:
    """Whether all tensors of floats in ``tensors``, a tree of dictionaries and lists, are finite."""
    found = [tensor.isfinite().all() for tensor in _leaves(tensors) if tensor.is_floating_point()]
    return not found or bool(torch.stack([each.cpu() for each in found]).all())


def _leaves(tree: object) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for branch in tree.values():
            yield from _leaves(branch)
    elif isinstance(tree, (list, tuple)):
        for branch in tree:
            yield from _leaves(branch)
