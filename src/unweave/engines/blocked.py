"""ONNX Runtime's blocked layout, in which convolutions keep the channels of one point together (``NCHWc``).

Operators that know only the plain layout make it reorder all numbers before and after them. `stay_blocked` rewrites an
optimised graph such that fewer of them do. The result is the same, but for the last bits of exponentials.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from unweave.engines.interleave import interleave_blocks
from unweave.engines.reorders import remove_reorders

BLOCKED = "com.microsoft.nchwc"
OPSET = 17  # of the probe, and the lowest whose graphs are rewritten


def stay_blocked(path: Path) -> bool:
    """Rewrite the optimised graph at ``path``, and say whether there was anything to rewrite.

    The weights beside the graph are not read.
    """
    model = onnx.load(str(path), load_external_data=False)
    if not any(entry.domain == "" and entry.version >= OPSET for entry in model.opset_import):
        return False
    if not any(node.op_type == "ReorderOutput" for node in model.graph.node):
        return False
    block = _block_length()
    if block == 0:
        return False
    n_removed = remove_reorders(model.graph, block)
    n_changed = n_removed + interleave_blocks(model.graph, block)
    if n_changed:
        onnx.save(model, str(path))
    return n_changed > 0


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
