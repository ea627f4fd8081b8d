"""Staying in the blocked layout: the same numbers, and only where nothing else sees what is in between."""

import dataclasses
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.helpers.naive_unet import estimate
from tests.helpers.toys import TOY, random_variables
from unweave.engines.blocked import stay_blocked
from unweave.engines.onnx import OPTIMISED, OnnxNetwork
from unweave.families.unet.graph import build_graph
from unweave.families.unet.weights import read_unets
from unweave.models.cache import graphs_folder
from unweave.models.graph_builder import GraphBuilder


def optimised(path, *, channels=128, factor=2, mode="DCR", shows_phases=False, elu=False):
    """Convolutions, `DepthToSpace` and another convolution, as ONNX Runtime optimises them, at ``path``."""
    rng = np.random.default_rng(7)
    graph = GraphBuilder()
    n_outputs = channels // factor**2
    first = graph.constant(rng.standard_normal((channels, 32, 1, 1)).astype(np.float32))
    last = graph.constant(rng.standard_normal((16, n_outputs, 3, 3)).astype(np.float32))
    if elu:
        second = graph.constant(rng.standard_normal((channels, 32, 1, 1)).astype(np.float32))
        halves = [graph.add("Elu", [graph.add("Conv", ["x", each], kernel_shape=[1, 1])]) for each in (first, second)]
        whole = graph.add("Concat", halves, axis=1)
        all_channels = graph.constant(rng.standard_normal((channels, 2 * channels, 1, 1)).astype(np.float32))
        phases = graph.add("Elu", [graph.add("Conv", [whole, all_channels], kernel_shape=[1, 1])], output="phases")
    else:
        phases = graph.add("Conv", ["x", first], output="phases", kernel_shape=[1, 1])
    x = graph.add("DepthToSpace", [phases], blocksize=factor, mode=mode)
    graph.add("Conv", [x, last], output="y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    outputs = ["y", "phases"] if shows_phases else ["y"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "phases",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["songs", 32, "frames", "bins"])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 9
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return path


def kinds(path):
    return Counter(node.op_type for node in onnx.load(str(path), load_external_data=False).graph.node)


def outputs(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal((2, 32, 5, 7)).astype(np.float32)
    return session.run(None, {"x": x})


@pytest.mark.parametrize(("channels", "factor"), [(128, 2), (512, 4)])
def test_blocks_are_interleaved_to_the_same_numbers(tmp_path, channels, factor):
    path = optimised(tmp_path / "optimised.onnx", channels=channels, factor=factor)
    before, optimised_kinds = outputs(path), kinds(path)
    stay_blocked(path)
    if optimised_kinds["ReorderOutput"]:  # some processors have no blocked layout
        assert kinds(path)["DepthToSpace"] == 0
        assert kinds(path)["ReorderOutput"] == optimised_kinds["ReorderOutput"] - 1  # the result's own is left
    np.testing.assert_array_equal(outputs(path)[0], before[0])


def assert_close(actual, expected):
    """Equal but for the last bits: where a number lies decides how its exponential is computed."""
    np.testing.assert_allclose(actual, expected, atol=1e-6 * np.abs(expected).max())


def test_elements_are_computed_in_blocks_to_the_same_numbers(tmp_path):
    path = optimised(tmp_path / "optimised.onnx", elu=True)
    before, optimised_kinds = outputs(path), kinds(path)
    stay_blocked(path)
    if optimised_kinds["ReorderOutput"]:  # some processors have no blocked layout
        assert optimised_kinds["ReorderOutput"] == 4
        assert kinds(path)["ReorderOutput"] == 1  # the result's own
        assert kinds(path)["ReorderInput"] == 1  # the input's own
        assert kinds(path)["DepthToSpace"] == 0
    assert_close(outputs(path)[0], before[0])


@pytest.mark.parametrize("elu", [False, True])
def test_what_is_seen_stays_plain(tmp_path, elu):
    path = optimised(tmp_path / "optimised.onnx", shows_phases=True, elu=elu)
    before, names = outputs(path), kinds(path)
    stay_blocked(path)
    assert kinds(path)["DepthToSpace"] == names["DepthToSpace"] == 1
    for changed, unchanged in zip(outputs(path), before, strict=True):
        assert_close(changed, unchanged)


@pytest.mark.parametrize(
    # 20 outputs are no whole number of blocks, which have 8 or 16 channels, but ONNX Runtime takes multiples of 4.
    "case",
    [{"channels": 80}, {"mode": "CRD"}, {"shows_phases": True}],
    ids=["parts of blocks", "other order", "seen"],
)
def test_other_places_stay_as_they_are(tmp_path, case):
    path = optimised(tmp_path / "optimised.onnx", **case)
    before = path.read_bytes()
    if kinds(path)["ReorderOutput"]:  # otherwise nothing could be rewritten
        assert kinds(path)["ReorderInput"] == 2
    stay_blocked(path)
    assert path.read_bytes() == before


def test_a_network_of_the_cache_is_rewritten_and_computes_the_definition(cache):
    spec = dataclasses.replace(TOY, n_filters=(16, 32, 16, 48, 16, 16))
    unets = read_unets(random_variables(spec), spec)
    folder = graphs_folder() / "wide"
    folder.mkdir(parents=True)
    (folder / "network.onnx").write_bytes(build_graph(unets, spec).SerializeToString())
    magnitudes = np.random.default_rng(1).random((2, 64, 128)).astype(np.float32)
    got = OnnxNetwork(folder / "network.onnx").estimate(magnitudes)
    np.testing.assert_allclose(got, estimate(magnitudes, unets, spec), rtol=1e-3, atol=1e-5)
    (kept,) = folder.parent.glob(f"wide-*/{OPTIMISED}")
    if kinds(kept)["ReorderOutput"]:
        assert kinds(kept)["DepthToSpace"] == len(unets)  # those of the results, which leave the blocked layout anyway
