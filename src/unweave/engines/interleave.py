"""Interleaving output phases in ONNX Runtime's blocked layout.

Convolutions keep the channels of one point together in blocks (``NCHWc``). `DepthToSpace` knows only the plain layout,
so ONNX Runtime reorders all numbers before it and after it, and moves them one by one in between. In the blocked layout
whole blocks can be moved, which takes a third of the time and gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import onnx
from onnx import TensorProto, helper

from unweave.engines.reorders import attribute, is_plain, makers_of, users_of


def interleave_blocks(graph: onnx.GraphProto, block: int) -> int:
    """Rewrite ``graph`` wherever phases are interleaved between two convolutions, and return how often that was.

    These places are ``ReorderOutput``, ``DepthToSpace`` (mode ``DCR``) and ``ReorderInput`` in a row, with outputs that
    fill whole blocks of ``block`` channels.
    """
    n_replaced = 0
    for reorder, interleave, reorder_back in list(_chains(graph)):
        factor, channels = attribute(interleave, "blocksize"), attribute(reorder, "channels")
        if channels % (factor**2 * block) != 0:
            continue
        nodes, constants = _in_blocks(reorder.input[0], reorder_back.output[0], factor, channels, block)
        graph.initializer.extend(constants)
        place = list(graph.node).index(interleave)
        for node in reversed(nodes):
            graph.node.insert(place, node)
        for node in (reorder, interleave, reorder_back):
            graph.node.remove(node)
        n_replaced += 1
    return n_replaced


def _chains(graph: onnx.GraphProto) -> Iterable[tuple[onnx.NodeProto, onnx.NodeProto, onnx.NodeProto]]:
    """The places to rewrite, where nothing else uses what is in between."""
    makers, users = makers_of(graph), users_of(graph)
    for node in graph.node:
        if node.op_type != "DepthToSpace" or attribute(node, "mode") != b"DCR":
            continue
        before, after = makers.get(node.input[0]), users[node.output[0]]
        if (
            is_plain(before, "ReorderOutput")
            and users[node.input[0]] == [node]
            and len(after) == 1
            and is_plain(after[0], "ReorderInput")
        ):
            yield before, node, after[0]


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
