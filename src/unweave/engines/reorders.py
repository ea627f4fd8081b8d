"""Fewer changes between ONNX Runtime's blocked layout and the plain one around operators that need neither.

ONNX Runtime keeps the blocked layout through the activations that it computes within a convolution. `Elu` is none of
them, though each number counts by itself there, so all are put into the plain order before it and back after it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeGuard

import onnx
from onnx import helper

ELEMENTWISE = ("Elu",)


def remove_reorders(graph: onnx.GraphProto, block: int) -> int:
    """Let what is element-wise, and what is put together from whole blocks of ``block`` channels, stay blocked.

    Returns how many reorderings have become unnecessary.
    """
    n_before = _count(graph)
    while _move_behind_elementwise(graph, block) or _move_behind_concat(graph, block) or _cancel(graph, block):
        pass
    _sort(graph)
    return n_before - _count(graph)


def attribute(node: onnx.NodeProto, name: str) -> Any:
    """The value of a node's attribute, or 0."""
    return next((helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name), 0)


def makers_of(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that makes each value."""
    return {output: node for node in graph.node for output in node.output}


def users_of(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto | None]]:
    """The nodes that use each value; None stands for whoever reads the graph's outputs."""
    users: dict[str, list[onnx.NodeProto | None]] = defaultdict(list)
    for entry in graph.output:
        users[entry.name].append(None)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    return users


def is_plain(node: onnx.NodeProto | None, kind: str) -> TypeGuard[onnx.NodeProto]:
    """Whether ``node`` is a reordering of that kind between blocks and channels first."""
    return node is not None and node.op_type == kind and not attribute(node, "channels_last")


def _count(graph: onnx.GraphProto) -> int:
    return sum(node.op_type in ("ReorderInput", "ReorderOutput") for node in graph.node)


def _from_blocks(node: onnx.NodeProto | None, block: int) -> TypeGuard[onnx.NodeProto]:
    """Whether ``node`` reorders whole blocks, none of them partly filled."""
    return is_plain(node, "ReorderOutput") and attribute(node, "channels") % block == 0


def _move_behind_elementwise(graph: onnx.GraphProto, block: int) -> bool:
    makers, users = makers_of(graph), users_of(graph)
    for node in graph.node:
        reorder = makers.get(node.input[0]) if node.op_type in ELEMENTWISE else None
        if _from_blocks(reorder, block) and users[node.input[0]] == [node]:
            plain, result = node.input[0], node.output[0]
            node.input[0], node.output[0] = reorder.input[0], plain  # what was plain is a name for blocks now
            reorder.input[0], reorder.output[0] = plain, result
            return True
    return False


def _move_behind_concat(graph: onnx.GraphProto, block: int) -> bool:
    makers, users = makers_of(graph), users_of(graph)
    for node in graph.node:
        if node.op_type != "Concat" or attribute(node, "axis") != 1:
            continue
        found = [makers.get(name) for name in node.input]
        reorders = [each for each in found if _from_blocks(each, block)]
        if reorders == found and all(users[name] == [node] for name in node.input):
            n_channels = sum(attribute(each, "channels") for each in reorders)
            result = node.output[0]
            for position, each in enumerate(reorders):
                node.input[position] = each.input[0]
            for each in reorders:
                graph.node.remove(each)
            node.output[0] = f"{result}_in_blocks"
            reorder = helper.make_node(
                "ReorderOutput",
                [node.output[0]],
                [result],
                name=f"{result}_ReorderOutput",
                domain=reorders[0].domain,
                channels=n_channels,
                channels_last=0,
            )
            graph.node.append(reorder)
            return True
    return False


def _cancel(graph: onnx.GraphProto, block: int) -> bool:
    makers, users = makers_of(graph), users_of(graph)
    for node in graph.node:
        if not is_plain(node, "ReorderInput"):
            continue
        reorder = makers.get(node.input[0])
        if _from_blocks(reorder, block) and None not in users[node.output[0]]:
            for user in filter(None, users[node.output[0]]):
                names = [reorder.input[0] if name == node.output[0] else name for name in user.input]
                del user.input[:]
                user.input.extend(names)
            graph.node.remove(node)
            if users[reorder.output[0]] == [node]:
                graph.node.remove(reorder)
            return True
    return False


def _sort(graph: onnx.GraphProto) -> None:
    """Put each node behind those that make its inputs."""
    makers, placed, order = makers_of(graph), set(), []

    def place(node: onnx.NodeProto) -> None:
        stack = [node]
        while stack:
            missing = [
                makers[name] for name in stack[-1].input if name in makers and makers[name].output[0] not in placed
            ]
            if missing:
                stack.append(missing[0])
                continue
            last = stack.pop()
            if last.output[0] not in placed:
                placed.add(last.output[0])
                order.append(last)

    for node in graph.node:
        place(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in order]
    del graph.node[:]
    graph.node.extend(copies)
