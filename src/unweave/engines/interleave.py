"""Interleaving output phases in ONNX Runtime's blocked layout.

Convolutions keep the channels of one point together in blocks (``NCHWc``). `DepthToSpace` knows only the plain layout,
so ONNX Runtime reorders all numbers before it and after it, and moves them one by one in between. In the blocked layout
whole blocks can be moved, which takes a third of the time and gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx

from unweave.engines.reorders import attribute, is_plain, makers_of, users_of
from unweave.models.graph_builder import GraphBuilder


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
    graph, n_outputs = GraphBuilder(f"{output}_"), channels // factor**2

    def integers(*values: int) -> str:
        return graph.constant(np.array(values, np.int64))

    batch = graph.add("Shape", [x], start=0, end=1)
    size = graph.add("Shape", [x], start=2, end=4)
    phases, one = integers(factor, factor, n_outputs // block), integers(block)
    apart = graph.add("Concat", [batch, phases, size, one], axis=0)
    split = graph.add("Reshape", [x, apart])
    moved = graph.add("Transpose", [split], perm=[0, 3, 4, 1, 5, 2, 6])
    larger = graph.add("Mul", [size, integers(factor, factor)])
    whole = graph.add("Concat", [batch, integers(n_outputs), larger], axis=0)
    graph.add("Reshape", [moved, whole], output)
    return graph.nodes, graph.constants
