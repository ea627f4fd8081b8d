"""Weights as safetensors, written one array at a time.

The library's own writer needs all of them in memory, which is 6 GB for the largest models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unweave.errors import CheckpointError
from unweave.models.checkpoints.safetensors_file import LENGTH_BYTES, TYPES
from unweave.models.checkpoints.tensors import Tensors, shown

CODES = {name: code for code, name in TYPES.items()}
CODES["bfloat16"] = CODES["float32"]  # as it is given out
ALIGNMENT = 8  # of the first array, as the format asks for


def write_safetensors(tensors: Tensors, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write all arrays to ``path``. The file is incomplete until this returns: write to a temporary name, then rename.

    Raises `CheckpointError` where an array is damaged or complex, and OSError where ``path`` cannot be written.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    position = 0
    for name in tensors:
        if tensors.dtype(name) not in CODES:
            raise CheckpointError(f"{shown(name)} has the type {tensors.dtype(name)}, which safetensors do not hold")
        code = CODES[tensors.dtype(name)]
        end = position + math.prod(tensors.shape(name)) * np.dtype(TYPES[code]).itemsize
        header[name] = {"dtype": code, "shape": list(tensors.shape(name)), "data_offsets": [position, end]}
        position = end
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(LENGTH_BYTES, "little") + raw)
        for name in tensors:
            array = tensors[name]
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
