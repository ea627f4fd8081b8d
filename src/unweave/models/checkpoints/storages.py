"""PyTorch's storages: runs of numbers that tensors look into, by offset, shape and stride."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unweave.errors import CheckpointError
from unweave.models.checkpoints.tensors import (
    REPETITION_SLACK_BYTES,
    Array,
    Tensor,
    check_shape,
    from_bfloat16,
    shown,
)


@dataclass(frozen=True)
class Element:
    """The type of a storage's numbers."""

    name: str  # NumPy's name, or "bfloat16"
    n_bytes: int

    @property
    def stored(self) -> np.dtype[np.generic]:
        """The type to read as: bfloat16 as its bits, truth values as the bytes they are."""
        return np.dtype(READ_AS.get(self.name, self.name)).newbyteorder("<")


READ_AS = {"bfloat16": "uint16", "bool": "uint8"}
ELEMENTS = {
    "torch.FloatStorage": Element("float32", 4),
    "torch.HalfStorage": Element("float16", 2),
    "torch.BFloat16Storage": Element("bfloat16", 2),
    "torch.DoubleStorage": Element("float64", 8),
    "torch.LongStorage": Element("int64", 8),
    "torch.IntStorage": Element("int32", 4),
    "torch.ShortStorage": Element("int16", 2),
    "torch.CharStorage": Element("int8", 1),
    "torch.ByteStorage": Element("uint8", 1),
    "torch.BoolStorage": Element("bool", 1),
    "torch.ComplexFloatStorage": Element("complex64", 8),
    "torch.ComplexDoubleStorage": Element("complex128", 16),
    "torch.storage.UntypedStorage": Element("uint8", 1),
    "torch.UntypedStorage": Element("uint8", 1),
}
# Types without a storage class of their own: their storage is bytes, and the tensor names its type.
NEW_TYPES = {
    "torch.uint16": Element("uint16", 2),
    "torch.uint32": Element("uint32", 4),
    "torch.uint64": Element("uint64", 8),
}


@dataclass(frozen=True)
class StorageReference:
    """A storage as a pickle refers to it; ``start`` is where a view of it begins (files before PyTorch 1.6)."""

    key: str
    element: Element
    n_elements: int
    start: int = 0

    @property
    def n_bytes(self) -> int:
        """Bytes of the whole storage."""
        return self.n_elements * self.element.n_bytes

    def seen_as(self, element: Element) -> StorageReference:
        """The same bytes as numbers of another type."""
        return StorageReference(self.key, element, self.n_bytes // element.n_bytes)


@dataclass(frozen=True)
class TensorReference:
    """A tensor as a pickle describes it: offset and stride count elements, all numbers are at least 0."""

    storage: StorageReference
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Storage:
    """Where the bytes of one storage lie in the mapped file."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = raw

    @property
    def n_bytes(self) -> int:
        """How many bytes there are."""
        return len(self._raw)

    def raw(self) -> memoryview:
        """The bytes."""
        return self._raw

    def values(self, element: Element) -> npt.NDArray[np.generic]:
        """All numbers, still in the file."""
        return np.frombuffer(self.raw(), element.stored)


def check_tensor(name: str, tensor: TensorReference) -> None:
    """Refuse a tensor that reaches out of its storage; raises `CheckpointError`."""
    check_shape(name, tensor.shape)
    start = tensor.storage.start + tensor.offset
    n_elements = tensor.storage.n_elements
    n_values = math.prod(tensor.shape)
    last = start + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True))
    if (last >= n_elements) if n_values else (start > n_elements):
        raise CheckpointError(
            f"{shown(name)} reaches out of its storage: shape {shown(tensor.shape)}, stride {shown(tensor.stride)} and "
            f"offset {shown(start)} in {n_elements} values"
        )
    if n_values > max(n_elements, REPETITION_SLACK_BYTES):
        raise CheckpointError(f"{shown(name)} repeats {n_elements} values as {n_values}")


def tensor_of(name: str, tensor: TensorReference, storage: Storage) -> Tensor:
    """``tensor``, checked, as an array of ``storage`` that is mapped on access. Raises `CheckpointError`."""
    check_tensor(name, tensor)
    element = tensor.storage.element

    def load() -> Array:
        values = storage.values(element)
        if not math.prod(tensor.shape):
            view = np.zeros(tensor.shape, values.dtype)
        else:
            view = np.lib.stride_tricks.as_strided(
                values[tensor.storage.start + tensor.offset :],
                tensor.shape,
                [step * element.n_bytes for step in tensor.stride],
                writeable=False,
            )
        if element.name == "bfloat16":
            return from_bfloat16(view.view(np.uint16))
        return view.astype(element.name, copy=False)

    return Tensor(tensor.shape, element.name, load)
