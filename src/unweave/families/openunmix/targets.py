"""Open-Unmix comes as one file for each stem; here they become one set of arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from unweave.errors import CheckpointError
from unweave.models.checkpoints import Checkpoint, Tensors, read_configuration, read_tensors

# In the order of the package openunmix, which has no other networks.
TARGETS = ("vocals", "drums", "bass", "other", "speech", "noise")
SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".chkpnt")
NAMED = re.compile(rf"({'|'.join(TARGETS)})(?![a-z])", re.IGNORECASE)
SETTINGS = "separator.json"  # what openunmix calls the settings that all targets share


def read_targets(path: Path) -> Checkpoint:
    """The networks of all stems whose files lie in ``path``, a folder, or beside ``path``, one of these files.

    Raises `CheckpointError` as `join_targets`.
    """
    folder = path if path.is_dir() else path.parent
    return join_targets(sorted(file for file in folder.iterdir() if file.is_file()), folder)


def shared_settings(folder: Path) -> Mapping[str, object]:
    """What ``separator.json`` in ``folder`` says about all targets, such as their sample rate; nothing without one."""
    path = folder / SETTINGS
    return read_configuration(path) if path.is_file() else {}


def join_targets(files: Sequence[Path], folder: Path, configuration: Path | None = None) -> Checkpoint:
    """The networks of all stems that are among ``files``, which lie in ``folder``.

    Files are called ``vocals.pth`` or, as they are published, ``vocals-b62c91ce.pth``; arrays get names that begin with
    ``vocals.``. Settings are those of ``configuration``, of ``separator.json`` and of the first stem's file, in this
    order. Raises `CheckpointError` where there is none, or two for one stem.
    """
    found: dict[str, Path] = {}
    for file in files:
        target = target_of(file)
        if target is None or file.suffix.lower() not in SUFFIXES:
            continue
        if target in found:
            raise CheckpointError(f"{folder}: both {found[target].name} and {file.name} are a network for {target}")
        found[target] = file
    if not found:
        raise CheckpointError(f"{folder} holds no network called {', '.join(f'{name}.pth' for name in TARGETS[:4])}")
    read = {target: read_tensors(found[target]) for target in TARGETS if target in found}
    tensors = Tensors.joined({f"{target}.": one.tensors for target, one in read.items()}, folder)
    settings = {**(next(iter(read.values())).configuration or {}), **shared_settings(folder)}
    if configuration is not None:
        settings |= read_configuration(configuration)
    return Checkpoint(tensors, settings or None, next(iter(read.values())).format)


def target_of(file: Path) -> str | None:
    """The stem that a file is called after, or None."""
    named = NAMED.match(file.name)
    return named[1].lower() if named else None
