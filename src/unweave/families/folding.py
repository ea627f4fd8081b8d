"""Networks with more stems than a model gives: the masks of some are added to others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unweave.models.spec import MaskModelSpec


def groups_of(spec: MaskModelSpec) -> list[list[int]]:
    """For each stem of ``spec`` the places of the network's stems that it is made of."""
    targets = dict(spec.folds)
    return [
        [index for index, own in enumerate(spec.network_stems) if targets.get(own, own) == stem] for stem in spec.stems
    ]


def write_folded(path: Path, groups: Sequence[Sequence[int]], target: Path) -> None:
    """Write the network in the ONNX file ``path`` with its outputs' first axis added up by ``groups``."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    (output,) = graph.output
    name, inner = output.name, f"{output.name}_of_all_stems"
    for node in graph.node:
        node.output[:] = [inner if each == name else each for each in node.output]
    parts = []
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "folding_axis"))
    for number, group in enumerate(groups):
        graph.initializer.append(numpy_helper.from_array(np.array(group, np.int64), f"folding_{number}"))
        graph.node.append(helper.make_node("Gather", [inner, f"folding_{number}"], [f"gathered_{number}"], axis=0))
        summed = f"gathered_{number}"
        if len(group) > 1:
            summed = f"summed_{number}"
            graph.node.append(
                helper.make_node("ReduceSum", [f"gathered_{number}", "folding_axis"], [summed], keepdims=1)
            )
        parts.append(summed)
    graph.node.append(helper.make_node("Concat", parts, [name], axis=0))
    output.type.tensor_type.shape.dim[0].dim_value = len(groups)
    target.write_bytes(model.SerializeToString())
