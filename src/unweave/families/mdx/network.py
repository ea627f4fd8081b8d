"""An MDX-Net in PyTorch, for graphics processors: the graph of its file, node by node, under the file's own names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
import torch
import torch.nn.functional as F  # noqa: N812
from onnx import helper, numpy_helper
from torch import Tensor, nn

from unweave.errors import ModelError

Operator = Callable[[list[Tensor], dict[str, Any]], Tensor]


class GraphNetwork(nn.Module):
    """Computes what the graph does: (segments, 4, bins, frames) → the same.

    ``state_dict`` has the arrays of the file, with ``/`` in place of dots. Raises `ModelError` for an operator that
    networks of TFC-TDF blocks do not have.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        graph = model.graph
        unknown = next((node.op_type for node in graph.node if node.op_type not in OPERATORS), None)
        if unknown:
            raise ModelError(f"the operator {unknown} is not supported in PyTorch, only on the CPU")
        self._nodes = [
            (
                OPERATORS[node.op_type],
                list(node.input),
                node.output[0],
                {entry.name: helper.get_attribute_value(entry) for entry in node.attribute},
            )
            for node in graph.node
        ]
        self._constants = {array.name: array.name.replace(".", "/") for array in graph.initializer}
        for array in graph.initializer:
            values = torch.from_numpy(numpy_helper.to_array(array).copy())
            self.register_buffer(self._constants[array.name], values)
        (self._input,) = (entry.name for entry in graph.input if entry.name not in self._constants)
        self._output = graph.output[0].name
        # The last node that needs each value, after which it is dropped.
        self._last_use = {name: k for k, (_, inputs, _, _) in enumerate(self._nodes) for name in inputs}

    def forward(self, spectrum: Tensor) -> Tensor:
        """See the class."""
        values: dict[str, Tensor] = {self._input: spectrum}
        for k, (operator, inputs, output, attributes) in enumerate(self._nodes):
            given = [self._value(name, values) for name in inputs if name]
            values[output] = operator(given, attributes)
            for name in inputs:
                if self._last_use[name] == k and name != self._output:
                    values.pop(name, None)
        return values[self._output]

    def _value(self, name: str, values: dict[str, Tensor]) -> Tensor:
        if name in values:
            return values[name]
        constant: Tensor = getattr(self, self._constants[name])
        return constant


def _conv(inputs: list[Tensor], attributes: dict[str, Any]) -> Tensor:
    x, weights, *bias = inputs
    n_axes = weights.dim() - 2
    return F.conv2d(
        _padded(x, attributes, n_axes),
        weights,
        bias[0] if bias else None,
        stride=attributes.get("strides", [1] * n_axes),
        dilation=attributes.get("dilations", [1] * n_axes),
        groups=attributes.get("group", 1),
    )


def _conv_transpose(inputs: list[Tensor], attributes: dict[str, Any]) -> Tensor:
    x, weights, *bias = inputs
    pads = attributes.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:]:
        raise ModelError("a transposed convolution with uneven borders is not supported in PyTorch")
    return F.conv_transpose2d(
        x,
        weights,
        bias[0] if bias else None,
        stride=attributes.get("strides", [1, 1]),
        padding=pads[:2],
        output_padding=attributes.get("output_padding", [0, 0]),
        groups=attributes.get("group", 1),
        dilation=attributes.get("dilations", [1, 1]),
    )


def _padded(x: Tensor, attributes: dict[str, Any], n_axes: int) -> Tensor:
    pads: Sequence[int] = attributes.get("pads", [0] * (2 * n_axes))
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ModelError("a convolution that pads by itself is not supported in PyTorch")
    if not any(pads):
        return x
    # ONNX lists all beginnings, then all ends; PyTorch both of the last axis first.
    return F.pad(x, [pads[k + n_axes * end] for k in reversed(range(n_axes)) for end in (0, 1)])


def _batch_norm(inputs: list[Tensor], attributes: dict[str, Any]) -> Tensor:
    x, scale, bias, mean, variance = inputs
    return F.batch_norm(x, mean, variance, scale, bias, eps=attributes.get("epsilon", 1e-5))


def _gemm(inputs: list[Tensor], attributes: dict[str, Any]) -> Tensor:
    a, b = (x.T if attributes.get(name) else x for x, name in zip(inputs[:2], ("transA", "transB"), strict=True))
    product: Tensor = attributes.get("alpha", 1.0) * (a @ b)
    if len(inputs) == 3:
        product = product + attributes.get("beta", 1.0) * inputs[2]
    return product


OPERATORS: dict[str, Operator] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": lambda x, a: F.instance_norm(x[0], weight=x[1], bias=x[2], eps=a.get("epsilon", 1e-5)),
    "MatMul": lambda x, _: x[0] @ x[1],
    "Gemm": _gemm,
    "Relu": lambda x, _: F.relu(x[0]),
    "LeakyRelu": lambda x, a: F.leaky_relu(x[0], a.get("alpha", 0.01)),
    "Sigmoid": lambda x, _: torch.sigmoid(x[0]),
    "Tanh": lambda x, _: torch.tanh(x[0]),
    "Add": lambda x, _: x[0] + x[1],
    "Sub": lambda x, _: x[0] - x[1],
    "Mul": lambda x, _: x[0] * x[1],
    "Div": lambda x, _: x[0] / x[1],
    "Transpose": lambda x, a: x[0].permute(a["perm"]),
    "Concat": lambda x, a: torch.cat(x, dim=a["axis"]),
    "Identity": lambda x, _: x[0],
}
