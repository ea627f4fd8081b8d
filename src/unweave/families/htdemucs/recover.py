"""The state dict of htdemucs out of the ONNX file that was exported from it.

PyTorch's exporter keeps the names of most parameters and folds constants into the rest: a matrix that is multiplied
with tokens is stored transposed, an affine norm as two columns, the embedding of the frequencies multiplied and
spread over the spectrum. Each of these still stands at a node that is named after its module, so every tensor can be
told by the node that reads it and brought back to its original shape. The published weights are of half precision;
the one tensor whose values were multiplied is rounded to it, which gives back the stored values exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.errors import CheckpointError
from unweave.families.htdemucs.spec import HTDemucsSpec

Array = npt.NDArray[np.float32]

# The exporter names the modules inside a sequence twice: /encoder.0/dconv/layers.0/layers.0.1/Mul.
NESTED = re.compile(r"/(layers\.\d+)/\1\.(\d+)/")


def recover_state(path: Path, spec: HTDemucsSpec) -> dict[str, Array]:
    """The tensors of ``spec`` by their original names, from the exported graph at ``path``.

    Raises `CheckpointError` for a file that is not an export of that network.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as ONNX: {error}") from error
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = spec.shapes()
    state = {name: array for name, array in stored.items() if name in shapes}
    for node in graph.node:
        for name in node.input:
            if name in stored and name not in state:
                _place(state, node, stored[name])
    _join_projections(state)
    wrong = [name for name, shape in shapes.items() if name not in state or state[name].shape != shape]
    if wrong:
        raise CheckpointError(f"{path} is not an export of the expected network: it lacks {wrong[0]}")
    return {name: np.ascontiguousarray(state[name], dtype=np.float32) for name in shapes}


def _place(state: dict[str, Array], node: Any, array: Array) -> None:
    """Put what the exporter renamed where the name of its node says."""
    module, _, kind = NESTED.sub(r"/\1.\2/", node.name).strip("/").rpartition("/")
    module = module.replace("/", ".")
    if node.op_type == "Expand":
        state["freq_emb.embedding.weight"] = _halved(array[0, :, :, 0].T / np.float32(10))
    elif node.op_type == "MatMul" and module.endswith("_attn"):
        part = "in_proj_weight" if "self" in module or array.shape[1] == 3 * len(array) else f"in_proj_weight.{kind}"
        state[f"{module}.{part}"] = array.T
    elif node.op_type == "Add" and module.endswith("_attn"):
        state[f"{module}.in_proj_bias.{kind}"] = array
    elif node.op_type == "MatMul":
        state[f"{module}.weight"] = array.T
    elif node.op_type == "Mul" and module.endswith(".6"):
        state[f"{module}.scale"] = array[:, 0]
    elif node.op_type in ("Mul", "Add"):
        state[f"{module}.{'weight' if node.op_type == 'Mul' else 'bias'}"] = array.reshape(-1)


def _join_projections(state: dict[str, Array]) -> None:
    """Attention to the other branch: the matrix of the queries and that of keys and values, as one."""
    for name in [name for name in state if name.endswith("in_proj_weight.MatMul")]:
        base = name.removesuffix(".MatMul")
        state[base] = np.concatenate([state[name], state[f"{base}.MatMul_1"]])
        bias = base.replace("in_proj_weight", "in_proj_bias")
        if f"{bias}.Add" in state and bias not in state:
            state[bias] = np.concatenate([state[f"{bias}.Add"], state[f"{bias}.Add_1"]])


def _halved(array: Array) -> Array:
    return array.astype(np.float16).astype(np.float32)


def is_half_precision(state: Mapping[str, Array]) -> bool:
    """Whether every value is one of half precision, as in the published file."""
    return all(np.array_equal(array, _halved(array)) for array in state.values())
