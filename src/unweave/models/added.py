"""Models that the user adds, kept in the cache: checkpoints with their JSON, and the results of training."""

from __future__ import annotations

import os
import re
from pathlib import Path

from unweave.errors import ModelError
from unweave.models.cache import added_folder
from unweave.models.catalogue import published
from unweave.models.catalogue.official import SHORT_NAMES, specs, weights_names
from unweave.models.foreign import DESCRIPTION
from unweave.models.validate import check_stems

CONFIGURATION = "model.json"  # beside a checkpoint
GRAPH = "model.onnx"  # of a trained model, which describes itself
WEIGHTS = "model.safetensors"  # its weights, for PyTorch
CARD = "README.md"
FILES = (CONFIGURATION, GRAPH, DESCRIPTION)  # one of these is in every folder of an added model
MAX_BYTES = 4 << 30  # of all files of a model together


def added_names() -> list[str]:
    """The names under which models were added; none if the cache cannot be read."""
    try:
        names = os.listdir(added_folder())
    except OSError:
        return []
    found = (name for name in names if not name.startswith("."))
    return sorted(name for name in found if any(os.path.isfile(added_folder() / name / file) for file in FILES))


def added_model_folder(name: str) -> Path:
    """The folder of the model added as ``name``."""
    return added_folder() / name


def check_name(name: str) -> None:
    """Raise `ModelError` for a name that a model of the user's own cannot have."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ModelError(f"expected a name of letters, digits, '.', '_' and '-', got {name!r}")
    check_stems([name], "the name")  # it is a folder's, on any system
    if name in weights_names() or name in specs() or name in SHORT_NAMES:
        raise ModelError(f"{name!r} is the name of an official model; choose another")
    for known in (*weights_names(), *specs(), *SHORT_NAMES, *published(), *added_names()):
        if known != name and known.casefold() == name.casefold():
            raise ModelError(
                f"the names {name!r} and {known!r} are one folder where capitals do not count; choose another"
            )
