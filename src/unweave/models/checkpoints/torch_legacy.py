"""PyTorch's checkpoints before version 1.6, and bare pickles of arrays.

Five pickles follow each other (a magic number, a version, the writer's byte order, the value, the storages' keys),
then for each key the number of elements, as 8 bytes, and the elements. Format: ``_legacy_save`` in PyTorch's
``torch/serialization.py``.
"""

from __future__ import annotations

import struct

from unweave.errors import CheckpointError
from unweave.models.checkpoints.pickles import Source, read_pickle
from unweave.models.checkpoints.storages import Storage, StorageReference
from unweave.models.checkpoints.tensors import shown
from unweave.models.checkpoints.torch_zip import storage_reference

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
COUNT = struct.Struct("<q")


def read_torch_legacy(data: memoryview) -> tuple[object, dict[str, Storage], str]:
    """The value in the file, its storages by key, and the format: "torch-legacy" or "pickle".

    Raises `CheckpointError`.
    """
    source = Source(data)
    first = read_pickle(source)
    if first != MAGIC:
        if source.n_left:
            raise CheckpointError("it is a pickle with something behind it, but not one of PyTorch's")
        return first, {}, "pickle"
    version = read_pickle(source)
    if version != VERSION:
        raise CheckpointError(f"it has PyTorch's format {shown(version)}, expected {VERSION}")
    system = read_pickle(source)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("its numbers have another byte order than little")
    references: dict[str, StorageReference] = {}

    def persistent(reference: object) -> object:
        storage = storage_reference(reference)
        known = references.setdefault(storage.key, storage)
        if (known.element, known.n_elements) != (storage.element, storage.n_elements):
            raise CheckpointError(f"the storage {shown(storage.key)} is described in two ways")
        view = reference[5] if isinstance(reference, tuple) and len(reference) > 5 else None
        return storage if view is None else _view(storage, view)

    value = read_pickle(source, persistent)
    keys = read_pickle(source)
    return value, _storages(data, source.tell(), keys, references), "torch-legacy"


def _view(storage: StorageReference, view: object) -> StorageReference:
    """A storage that is part of another: its key, where it starts, and its number of elements."""
    if not isinstance(view, tuple) or len(view) != 3:
        raise CheckpointError("a view of a storage is damaged")
    _, start, n_elements = view
    if not all(isinstance(number, int) and number >= 0 for number in (start, n_elements)):
        raise CheckpointError("a view of a storage is damaged")
    if start + n_elements > storage.n_elements:
        raise CheckpointError(f"a view reaches out of the storage {shown(storage.key)}")
    # A view's tensors may use its own elements only: the ones behind it count as not there.
    return StorageReference(storage.key, storage.element, start + n_elements, start)


def _storages(
    data: memoryview, position: int, keys: object, references: dict[str, StorageReference]
) -> dict[str, Storage]:
    if not isinstance(keys, list) or len(set(map(str, keys))) != len(keys) or set(map(str, keys)) != set(references):
        raise CheckpointError("the list of storages does not match the table of contents")
    storages = {}
    for key in keys:
        reference = references[str(key)]
        if position + COUNT.size > len(data):
            raise CheckpointError(f"the file is truncated: the storage {shown(key)} is missing")
        (n_elements,) = COUNT.unpack_from(data, position)
        position += COUNT.size
        if n_elements != reference.n_elements:
            raise CheckpointError(
                f"the storage {shown(key)} has {n_elements} elements, the table of contents says {reference.n_elements}"
            )
        if position + reference.n_bytes > len(data):
            raise CheckpointError(f"the file is truncated: it ends within the storage {shown(key)}")
        storages[str(key)] = Storage(data[position : position + reference.n_bytes])
        position += reference.n_bytes
    if position != len(data):
        raise CheckpointError(f"{len(data) - position} bytes follow behind the last storage")
    return storages
