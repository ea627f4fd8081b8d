"""safetensors files, by their own library, which checks the header against the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from unweave.errors import CheckpointError
from unweave.models.checkpoints.mapped import mapped
from unweave.models.checkpoints.tensors import Array, Tensor, check_shape, from_bfloat16, shown

TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
LENGTH_BYTES = 8  # of the header's length, in front of the header


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, object]]:
    """The arrays of the file, and its metadata, of which values that are JSON are decoded. Raises `CheckpointError`."""
    import safetensors

    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"it is not a safetensors file, or damaged: {shown(str(error), 200)}") from error
    # The library has verified the header: offsets are in order, without holes, and match types, shapes and the file.
    data = mapped(path)
    begin = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    header = json.loads(bytes(data[LENGTH_BYTES:begin]))
    header.pop("__metadata__", None)
    return {name: _tensor(name, entry, data, begin) for name, entry in header.items()}, _decoded(metadata)


def _tensor(name: str, entry: Mapping[str, Any], data: memoryview, begin: int) -> Tensor:
    kind = TYPES.get(str(entry["dtype"]))
    if kind is None:
        raise CheckpointError(f"{shown(name)} has the type {shown(entry['dtype'])}, which is not supported")
    shape = tuple(entry["shape"])
    check_shape(name, shape)
    start, end = (begin + int(offset) for offset in entry["data_offsets"])

    def load() -> Array:
        stored = np.dtype({"bfloat16": "uint16", "bool": "uint8"}.get(kind, kind)).newbyteorder("<")
        values = np.frombuffer(data[start:end], stored).reshape(shape)
        return from_bfloat16(values.astype(np.uint16)) if kind == "bfloat16" else values.astype(kind, copy=False)

    return Tensor(shape, kind, load)


def _decoded(metadata: Mapping[str, str]) -> dict[str, object]:
    """Demucs writes its class and arguments as JSON strings, a fraction as {"_type", "numerator", "denominator"}."""
    return {name: _from_json(text) for name, text in metadata.items()}


def _from_json(text: str) -> object:
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text, object_hook=_fraction)
    except (ValueError, RecursionError):
        return text


def _fraction(entries: dict[str, object]) -> object:
    numerator, denominator = entries.get("numerator"), entries.get("denominator")
    if isinstance(numerator, int) and isinstance(denominator, int) and denominator and "_type" in entries:
        return Fraction(numerator, denominator)
    return entries
