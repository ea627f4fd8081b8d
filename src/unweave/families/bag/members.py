"""A bag comes as one file for each network; here they become one set of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unweave.errors import CheckpointError
from unweave.families.bag.shares import Bag
from unweave.models.checkpoints import Checkpoint, Tensors, read_tensors

BAG = "bag"  # in a configuration: the `Bag`, which no file can hold
MEMBERS = "members"  # and the configurations of its members
# Bags that Demucs publishes: without their YAML file they are told by the names of their networks.
PUBLISHED = (
    Bag(
        ("f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"),  # htdemucs_ft: drums, bass, other, vocals
        ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)),
    ),
)


def read_members(bag: Bag, files: Sequence[Path]) -> Checkpoint:
    """The networks of ``bag``, found among ``files`` by their names: ``<signature>.safetensors`` or, as they are
    published, ``<signature>-<digits>.th``.

    The arrays of the first get names that begin with ``0.``, and so on. Raises `CheckpointError` where a network is
    missing, and for a file that cannot be read.
    """
    found = [_member(signature, files) for signature in bag.members]
    read = {path: read_tensors(path) for path in dict.fromkeys(found)}
    parts = [read[path] for path in found]
    tensors = Tensors.joined({f"{k}.": part.tensors for k, part in enumerate(parts)}, found[0].parent)
    configuration = {BAG: bag, MEMBERS: [part.configuration for part in parts]}
    return Checkpoint(tensors, configuration, parts[0].format)


def published_bag(files: Sequence[Path]) -> Bag | None:
    """The published bag whose networks ``files`` are, without any other; None where they are none."""
    signatures = {path.stem.partition("-")[0] for path in files}
    return next((bag for bag in PUBLISHED if set(bag.members) == signatures), None)


def _member(signature: str, files: Sequence[Path]) -> Path:
    found = [path for path in files if path.stem == signature or path.name.startswith(f"{signature}-")]
    if len(found) != 1:
        told = f"{len(found)} files are called so" if found else "no file is called so"
        raise CheckpointError(f"the bag needs the network {signature:.80}, but {told}")
    return found[0]
