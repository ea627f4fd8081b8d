"""The graph of an MDX-Net, which is that of the published file: looked over, and given fixed shapes.

Weights are kept by themselves; the rest of the file, which is a few kilobytes when compressed, is text in the
description of the model, from which the file is put together again.

Published files leave the number of segments per call open. With all shapes fixed ONNX Runtime plans its memory ahead,
and a graph that does not fit its parameters is found out when it is added instead of in the middle of a song.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from unweave.errors import CheckpointError
from unweave.families.mdx.spec import N_PARTS, NETWORK, MdxSpec

# What TFC-TDF networks are made of, with what PyTorch's exporters put around it.
OPERATORS = {
    "Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "MatMul", "Gemm", "Relu", "LeakyRelu",
    "PRelu", "Sigmoid", "Tanh", "Erf", "Gelu", "Add", "Sub", "Mul", "Div", "Sqrt", "Pow", "ReduceMean", "Transpose",
    "Reshape", "Flatten", "Concat", "Split", "Slice", "Squeeze", "Unsqueeze", "Pad", "Expand", "Identity", "Constant",
    "ConstantOfShape", "Cast", "Shape", "Gather",
}  # fmt: skip
MAX_DIMENSION = 1 << 16
MAX_FRAME_BYTES = 1 << 22  # of a graph without its weights; published ones have 30 000
FIRST_WITH_HIDDEN_WEIGHTS = 4  # version of ONNX's format from which on weights need not be inputs too


@dataclass(frozen=True)
class Interface:
    """The one input and output of a graph; None for sizes that it leaves open."""

    input: str
    output: str
    n_bins: int | None
    n_frames: int | None


def read_graph(path: Path) -> onnx.ModelProto | None:
    """The graph in ``path``, or None where that is no ONNX file."""
    try:
        model = onnx.load_model(path, load_external_data=False)
    except (DecodeError, ValueError):
        return None
    return model if model.graph.node else None


def interface_of(model: onnx.ModelProto) -> Interface | None:
    """The interface of an MDX-Net, (segments, 4, bins, frames) → the same, or None where it is another network's."""
    constants = {initialiser.name for initialiser in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in constants]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        return None
    shapes = [_sizes(entry) for entry in (inputs[0], model.graph.output[0])]
    if any(shape is None or len(shape) != 4 or shape[1] not in (N_PARTS, None) for shape in shapes):
        return None
    if shapes[0] is None or shapes[0][1] != N_PARTS:
        return None
    _, _, n_bins, n_frames = shapes[0]
    return Interface(inputs[0].name, model.graph.output[0].name, n_bins, n_frames)


def check_operators(model: onnx.ModelProto, name: str) -> None:
    """Raise `CheckpointError` for anything that no MDX-Net is made of."""
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            raise CheckpointError(f"{name} looks like an MDX-Net, but has the operator {_shown(node.op_type)}")
    if any(array.data_location == onnx.TensorProto.EXTERNAL for array in model.graph.initializer):
        raise CheckpointError(f"{name} looks like an MDX-Net, but its weights lie in another file")
    if model.functions or model.graph.sparse_initializer:
        raise CheckpointError(f"{name} looks like an MDX-Net, but has parts that are not supported")


def with_fixed_shapes(model: onnx.ModelProto, spec: MdxSpec) -> onnx.ModelProto:
    """``model`` for one segment per call. Raises `CheckpointError` where shapes of ``spec`` do not go through it."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    interface = interface_of(fixed)
    if interface is None:
        raise CheckpointError(f"{spec.name} is not an MDX-Net")
    shape = (1, N_PARTS, spec.n_bins, spec.n_frames)
    del fixed.graph.value_info[:]
    for entry in fixed.graph.input:
        if entry.name == interface.input:
            _fix(entry, shape)
    fixed.graph.output[0].type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[-1] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{spec.name} does not take {spec.n_bins} bins and {spec.n_frames} frames: {_shown(reason)}"
        ) from error
    given = _sizes(inferred.graph.output[0])
    if given is not None and any(size not in (None, wanted) for size, wanted in zip(given, shape, strict=False)):
        raise CheckpointError(f"{spec.name} makes {given} of {shape}, which is not what an MDX-Net does")
    _fix(fixed.graph.output[0], shape)
    return fixed


def without_weights(model: onnx.ModelProto, name: str) -> str:
    """The graph without its weights, as text. Raises `CheckpointError` where that is larger than any MDX-Net's."""
    frame = onnx.ModelProto()
    frame.CopyFrom(model)
    constants = {array.name for array in frame.graph.initializer}
    inputs = [entry for entry in frame.graph.input if entry.name not in constants]
    del frame.graph.initializer[:], frame.graph.input[:], frame.graph.value_info[:], frame.metadata_props[:]
    frame.graph.input.extend(inputs)
    frame.ir_version = max(frame.ir_version, FIRST_WITH_HIDDEN_WEIGHTS)
    for node in frame.graph.node:
        node.ClearField("doc_string")  # PyTorch writes its calls there
    raw = frame.SerializeToString()
    if len(raw) > MAX_FRAME_BYTES:
        raise CheckpointError(f"{name} looks like an MDX-Net, but its graph takes {len(raw)} bytes without weights")
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii")


def with_weights(spec: MdxSpec, tensors: Mapping[str, npt.NDArray[np.generic]]) -> onnx.ModelProto:
    """The inverse of `without_weights`. Raises `CheckpointError` for a description that was damaged."""
    model = onnx.ModelProto()
    try:
        unpacked = zlib.decompressobj().decompress(base64.b64decode(spec.graph, validate=True), MAX_FRAME_BYTES)
        model.ParseFromString(unpacked)
    except (binascii.Error, zlib.error, DecodeError, ValueError) as error:
        raise CheckpointError(f"the description of {spec.name} is damaged") from error
    for name in spec.shapes:
        model.graph.initializer.append(
            numpy_helper.from_array(np.ascontiguousarray(tensors[name]).reshape(spec.shapes[name]), name)
        )
    return model


def write_graph(spec: MdxSpec, tensors: Mapping[str, npt.NDArray[np.generic]], folder: Path) -> Path:
    """Write the network with fixed shapes as ``network.onnx`` in ``folder``; returns its path."""
    path = folder / NETWORK
    path.write_bytes(with_fixed_shapes(with_weights(spec, tensors), spec).SerializeToString())
    return path


def _sizes(entry: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
    """The shape that is declared, or None without one; None for sizes that are left open."""
    kind = entry.type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT or not kind.HasField("shape"):
        return None
    return tuple(
        size.dim_value if size.HasField("dim_value") and 0 < size.dim_value <= MAX_DIMENSION else None
        for size in kind.shape.dim
    )


def _fix(entry: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    declared = entry.type.tensor_type
    declared.elem_type = onnx.TensorProto.FLOAT
    declared.ClearField("shape")
    for size in shape:
        declared.shape.dim.add().dim_value = size


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:120]
