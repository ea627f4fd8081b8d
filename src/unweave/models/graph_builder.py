"""ONNX graphs in the making."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper


class GraphBuilder:
    """Nodes and constants in the making; names are given by counting, behind ``prefix``."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        output = output or f"{self._prefix}{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, array: npt.ArrayLike) -> str:
        """An array inside the graph, whose name is returned."""
        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def lstm_gates(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """PyTorch's gates, input, forget, cell, output, in the order of ONNX: input, output, forget, cell."""
    given, forget, cell, output = np.split(array, 4)
    return np.concatenate([given, output, forget, cell])
