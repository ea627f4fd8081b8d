"""Checkpoints that hold nothing but names and shapes."""

import json
import math
import struct

from unweave.models.checkpoints import read_tensors


def tensors_of(folder, shapes):
    """A safetensors file with arrays of these shapes; its zeros take no room on the disk."""
    entries, position = {}, 0
    for name, shape in shapes.items():
        end = position + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, end]}
        position = end
    header = json.dumps(entries).encode()
    path = folder / "a.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + position)
    return read_tensors(path).tensors


def changed(settings, section, **values):
    """The settings with some values of a section changed; None takes one away."""
    merged = {**settings[section], **values}
    return {**settings, section: {key: value for key, value in merged.items() if value is not None}}
