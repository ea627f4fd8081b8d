"""Interleaving output phases in ONNX Runtime's blocked layout.

Convolutions keep the channels of one point together in blocks (``NCHWc``). `DepthToSpace` knows only the plain layout,
so ONNX Runtime reorders all numbers before it and after it, and moves them one by one in between. In the blocked layout
whole blocks can be moved, which takes a third of the time and gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

BLOCKED = "com.microsoft.nchwc"
OPSET = 17  # of the probe, and the lowest whose graphs are rewritten


def interleave_blocks(path: Path) -> None:
    """Rewrite the optimised graph at ``path`` wherever phases are interleaved between two convolutions.

    These places are ``ReorderOutput``, ``DepthToSpace`` (mode ``DCR``) and ``ReorderInput`` in a row, with outputs that
    fill whole blocks. The weights beside the graph are not read. A graph without such places stays as it is.
    """
    model = onnx.load(str(path), load_external_data=False)
    if not any(entry.domain == "" and entry.version >= OPSET for entry in model.opset_import):
        return
    chains = list(_chains(model.graph))
    block = _block_length() if chains else 0
    replaced = False
    for reorder, interleave, reorder_back in chains:
        factor, channels = _attribute(interleave, "blocksize"), _attribute(reorder, "channels")
        if block == 0 or channels % (factor**2 * block) != 0:
            continue
        nodes, constants = _in_blocks(reorder.input[0], reorder_back.output[0], factor, channels, block)
        model.graph.initializer.extend(constants)
        place = list(model.graph.node).index(interleave)
        for node in reversed(nodes):
            model.graph.node.insert(place, node)
        for node in (reorder, interleave, reorder_back):
            model.graph.node.remove(node)
        replaced = True
    if replaced:
        onnx.save(model, str(path))


def _chains(graph: onnx.GraphProto) -> Iterable[tuple[onnx.NodeProto, onnx.NodeProto, onnx.NodeProto]]:
    """The places to rewrite, where nothing else uses what is in between."""
    makers = {output: node for node in graph.node for output in node.output}
    users: dict[str, list[onnx.NodeProto]] = {entry.name: [] for entry in graph.output}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    outputs = {entry.name for entry in graph.output}
    for node in graph.node:
        if node.op_type != "DepthToSpace" or _attribute(node, "mode") != b"DCR":
            continue
        before, after = makers.get(node.input[0]), users.get(node.output[0], [])
        if (
            before is not None
            and before.op_type == "ReorderOutput"
            and not _attribute(before, "channels_last")
            and len(users[node.input[0]]) == 1
            and [each.op_type for each in after] == ["ReorderInput"]
            and not _attribute(after[0], "channels_last")
            and not outputs & {node.input[0], node.output[0]}
        ):
            yield before, node, after[0]


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    return next((helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name), 0)


def _in_blocks(
    x: str, output: str, factor: int, channels: int, block: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Blocked (n, factor · factor · outputs, height, width) ``x`` → blocked (n, outputs, …), in which blocks move."""
    n_outputs = channels // factor**2
    constants: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def integers(*values: int) -> str:
        constants.append(helper.make_tensor(f"{output}_{len(constants)}", TensorProto.INT64, [len(values)], values))
        return constants[-1].name

    def add(kind: str, inputs: list[str], made: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [made], name=f"{made}_{kind}", **attributes))
        return made

    batch = add("Shape", [x], f"{output}_batch", start=0, end=1)
    size = add("Shape", [x], f"{output}_size", start=2, end=4)
    phases, one = integers(factor, factor, n_outputs // block), integers(block)
    apart = add("Concat", [batch, phases, size, one], f"{output}_apart", axis=0)
    split = add("Reshape", [x, apart], f"{output}_split")
    moved = add("Transpose", [split], f"{output}_moved", perm=[0, 3, 4, 1, 5, 2, 6])
    larger = add("Mul", [size, integers(factor, factor)], f"{output}_larger")
    whole = add("Concat", [batch, integers(n_outputs), larger], f"{output}_whole", axis=0)
    add("Reshape", [moved, whole], output)
    return nodes, constants


def _block_length() -> int:
    """Channels per block on this processor, by reordering known numbers; 0 where the layout is another one."""
    channels, width = 64, 3
    x = np.arange(channels * width, dtype=np.float32).reshape(1, channels, 1, width)
    graph = helper.make_graph(
        [helper.make_node("ReorderInput", ["x"], ["y"], domain=BLOCKED)],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(BLOCKED, 1)])
    model.ir_version = 9
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        blocked = session.run(None, {"x": x})[0]
    except Exception:  # no such operator here
        return 0
    for block in (4, 8, 16, 32):
        if np.array_equal(blocked.ravel(), x.reshape(channels // block, block, width).transpose(0, 2, 1).ravel()):
            return block
    return 0
