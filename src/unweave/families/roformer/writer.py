"""Build an ONNX graph whose weights go straight into a file beside it.

Protocol buffers end at 2 GB, and the largest RoFormers have 6. Weights are written one array at a time, so building
a graph takes no more memory than its largest array. ONNX Runtime maps them when it loads the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 9
MICROSOFT = "com.microsoft"  # ONNX Runtime's own operators
INLINE_BYTES = 1024  # smaller arrays stay in the graph, where shapes are inferred from them
ALIGNMENT = 4096  # a page, so that each array can be mapped

_Shapes = Mapping[str, Sequence[int | str]]  # sizes, or names of those that are left open


class GraphWriter:
    """Collects nodes, and writes constants to ``data``; names are numbered."""

    def __init__(self, data: BinaryIO, location: str) -> None:
        self._data = data
        self._location = location
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """A node of ONNX with one output, whose name is returned."""
        return self._add("", kind, inputs, output, attributes)

    def add_own(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node that only ONNX Runtime knows."""
        return self._add(MICROSOFT, kind, inputs, None, attributes)

    def split_at(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """``x`` in parts of the given sizes."""
        if len(sizes) == 1:
            return [x]
        outputs = [f"Split_{len(self._nodes)}_{part}" for part in range(len(sizes))]
        inputs = [x, self.constant(np.array(sizes, np.int64))]
        self._nodes.append(helper.make_node("Split", inputs, outputs, name=f"Split_{len(self._nodes)}", axis=axis))
        return outputs

    def constant(self, array: npt.ArrayLike) -> str:
        """An array, float32 or int64, in the graph or in the file beside it."""
        values = np.ascontiguousarray(array)
        name = f"constant_{len(self._constants)}"
        if values.nbytes < INLINE_BYTES:
            self._constants.append(numpy_helper.from_array(values, name))
            return name
        self._data.write(bytes(-self._data.tell() % ALIGNMENT))
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        tensor = TensorProto(name=name, data_type=kind, dims=values.shape, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", self._location), ("offset", self._data.tell()), ("length", values.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        self._data.write(values.tobytes())
        self._constants.append(tensor)
        return name

    def shape(self, *sizes: int) -> str:
        """The second input of a Reshape."""
        return self.constant(np.array(sizes, np.int64))

    def save(self, path: Path, name: str, inputs: _Shapes, outputs: _Shapes) -> None:
        """Write the graph with these float32 inputs and outputs of these shapes."""
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="unweave")
        model.ir_version = IR_VERSION
        path.write_bytes(model.SerializeToString())

    def _add(
        self, domain: str, kind: str, inputs: Sequence[str], output: str | None, attributes: dict[str, Any]
    ) -> str:
        output = output or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, domain=domain, **attributes))
        return output
