"""What the graphs of hybrid networks are made of."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from unweave.families.demucs.graph import HybridGraph, stretches


def computed(graph, x, output):
    made = helper.make_graph(
        graph.nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]


@pytest.mark.parametrize("axes", [[2], [2, 1]])
def test_means_of_long_signals_are_exact(axes):
    """44 s at the second layer of an HDemucs over the samples: 485 100 values."""
    x = np.random.default_rng(0).standard_normal((1, 3, 485_100), np.float32) ** 2
    graph = HybridGraph({})
    found = computed(graph, x, graph.mean("x", axes, x.shape))
    expected = x.astype(np.float64).mean(axis=tuple(axes), keepdims=True)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_long_axes_are_cut_evenly():
    assert stretches(485_100) == 693
    assert stretches(336) == 1
    assert stretches(2**17 - 1) == 1  # a prime number
