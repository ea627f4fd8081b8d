"""The weights in an ONNX file: its initialisers, also those that lie in a file beside it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from unweave.errors import CheckpointError
from unweave.models.checkpoints.mapped import mapped
from unweave.models.checkpoints.tensors import Array, Tensor, check_shape, from_bfloat16, shown

# ONNX's numbers of data types, and the fields where small arrays of them lie instead of in raw bytes.
TYPES = {
    1: ("float32", "float_data"), 2: ("uint8", "int32_data"), 3: ("int8", "int32_data"), 4: ("uint16", "int32_data"),
    5: ("int16", "int32_data"), 6: ("int32", "int32_data"), 7: ("int64", "int64_data"), 9: ("bool", "int32_data"),
    10: ("float16", "int32_data"), 11: ("float64", "double_data"), 12: ("uint32", "uint64_data"),
    13: ("uint64", "uint64_data"), 16: ("bfloat16", "int32_data"),
}  # fmt: skip
EXTERNAL = 1
MAX_MODEL_BYTES = 1 << 31  # protocol buffers hold no more


def read_onnx(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The initialisers of the file by name, and its metadata. Raises `CheckpointError`."""
    import onnx
    from google.protobuf.message import DecodeError

    if path.stat().st_size > MAX_MODEL_BYTES:
        raise CheckpointError("it is larger than an ONNX file can be")
    try:
        model = onnx.load_model(path, load_external_data=False)
    except DecodeError as error:
        raise CheckpointError("it is not an ONNX file, or damaged") from error
    if not model.graph.node:
        raise CheckpointError("it is not an ONNX file, or has no network inside")
    if model.graph.sparse_initializer:
        raise CheckpointError("its weights are sparse, which is not supported")
    tensors: dict[str, Tensor] = {}
    for initialiser in model.graph.initializer:
        if initialiser.name in tensors:
            raise CheckpointError(f"it has two arrays named {shown(initialiser.name)}")
        tensors[initialiser.name] = _tensor(initialiser, path)
    return tensors, {entry.key: entry.value for entry in model.metadata_props}


def _tensor(initialiser: Any, path: Path) -> Tensor:
    name = initialiser.name
    if initialiser.data_type not in TYPES:
        raise CheckpointError(f"{shown(name)} has ONNX's data type {initialiser.data_type}, which is not supported")
    kind, field = TYPES[initialiser.data_type]
    shape = tuple(int(size) for size in initialiser.dims)
    check_shape(name, shape)
    n_values = math.prod(shape)
    stored = np.dtype({"bfloat16": "uint16", "bool": "uint8"}.get(kind, kind)).newbyteorder("<")
    if initialiser.data_location == EXTERNAL:
        raw = _external(initialiser, path, n_values * stored.itemsize)
    elif initialiser.HasField("raw_data"):
        raw = memoryview(initialiser.raw_data)
    else:
        values = np.array(getattr(initialiser, field))
        if kind in ("float16", "bfloat16"):  # as bits
            values = values.astype(np.uint16).view(stored)
        raw = memoryview(np.ascontiguousarray(values.astype(stored)).tobytes())
    if len(raw) != n_values * stored.itemsize:
        raise CheckpointError(f"{shown(name)} has {len(raw)} bytes, its shape {shown(shape)} needs another number")

    def load() -> Array:
        values = np.frombuffer(raw, stored).reshape(shape)
        return from_bfloat16(values.astype(np.uint16)) if kind == "bfloat16" else values.astype(kind, copy=False)

    return Tensor(shape, kind, load)


def _external(initialiser: Any, path: Path, n_bytes: int) -> memoryview:
    """The bytes of an array that lies in a file beside the model's."""
    entries = {entry.key: entry.value for entry in initialiser.external_data}
    location = entries.get("location", "")
    if not location or any(c in location for c in "/\\:\0"):
        raise CheckpointError(f"{shown(initialiser.name)} lies in {shown(location)}, which is not a file beside it")
    file = path.parent / location
    if file.is_symlink() or not file.is_file():
        raise CheckpointError(f"{shown(location)}, which holds its weights, is not beside it")
    offset, length = (entries.get(key, default) for key, default in (("offset", "0"), ("length", str(n_bytes))))
    if not all(number.isascii() and number.isdigit() and len(number) < 20 for number in (offset, length)):
        raise CheckpointError(f"{shown(initialiser.name)} lies at an impossible place")
    if int(length) != n_bytes or int(offset) + n_bytes > file.stat().st_size:
        raise CheckpointError(f"{shown(initialiser.name)} reaches out of {shown(location)}")
    return mapped(file)[int(offset) : int(offset) + n_bytes] if n_bytes else memoryview(b"")
