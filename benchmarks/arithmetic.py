"""The arithmetic in an ONNX graph of fixed shapes: two operations for each multiplication with its addition."""

import math
from pathlib import Path

import onnx
from onnx import TensorProto, helper, shape_inference

# Operators of ONNX Runtime's own, which shape inference does not know: all that our graphs have give the shape of their
# first input. One of them claims to be of ONNX.
OWN_DOMAIN, OWN = "com.microsoft", "SimplifiedLayerNormalization"


def count_operations(path, sizes=None):
    """Operations of one run of the network in ``path``; ``sizes`` are those of axes that it leaves open, by name.

    Convolutions, matrix products, attention and recurrent layers are counted; the rest is a few operations per number.
    """
    model = onnx.load(path, load_external_data=False)
    shapes = _shapes(model, Path(path).parent, sizes or {})
    return sum(_operations(node, shapes) for node in model.graph.node)


def _shapes(model, folder, sizes):
    """The shape of every value by its name."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    graph = plain.graph
    for value in (*graph.input, *graph.output):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in sizes:
                axis.dim_value = sizes[axis.dim_param]
    for node in graph.node:
        if node.domain == OWN_DOMAIN or node.op_type == OWN:
            node.CopyFrom(helper.make_node("Identity", node.input[:1], node.output[:1]))
    for tensor in graph.initializer:
        # Shapes, bounds and axes are integers, whose values inference needs; the weights stay where they are.
        if tensor.data_type == TensorProto.INT64 and tensor.data_location == TensorProto.EXTERNAL:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    inferred = shape_inference.infer_shapes(plain, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        shapes[value.name] = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
    return shapes


def _operations(node, shapes):
    def shape(position):
        return shapes[node.input[position]]

    kind = node.op_type
    if kind == "Conv":
        return 2 * math.prod(shapes[node.output[0]]) * math.prod(shape(1)[1:])
    if kind == "ConvTranspose":
        return 2 * math.prod(shape(0)) * math.prod(shape(1)[1:])
    if kind == "MatMul":
        return 2 * math.prod(shapes[node.output[0]]) * shape(0)[-1]
    if kind == "Gemm":
        turned = any(entry.name == "transA" and entry.i for entry in node.attribute)
        return 2 * math.prod(shapes[node.output[0]]) * shape(0)[0 if turned else 1]
    if kind == "MultiHeadAttention":  # (batch, queries, width), (batch, keys, width): scores, then values
        return 4 * math.prod(shape(0)) * shape(1)[1]
    if kind == "LSTM":
        n_frames, n_batch, n_inputs = shape(0)
        n_directions, n_gates, width = shape(2)
        return 2 * n_frames * n_batch * n_directions * n_gates * (n_inputs + width)
    return 0
