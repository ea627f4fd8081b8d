"""Any network by ONNX Runtime."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from unweave.engines.onnx import OnnxSession
from unweave.errors import ModelError
from unweave.models.cache import graphs_folder


@pytest.fixture
def path(tmp_path):
    names = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "abcd"]
    nodes = [helper.make_node("Add", ["a", "b"], ["c"]), helper.make_node("Sub", ["a", "b"], ["d"])]
    graph = helper.make_graph(nodes, "g", names[:2], names[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save_model(model, tmp_path / "network.onnx")
    return tmp_path / "network.onnx"


def test_inputs_and_outputs_are_in_the_order_of_the_file(path):
    total, difference = OnnxSession(path, 2).run(np.array([5, 6], np.float32), np.array([1, 2], np.float32))
    np.testing.assert_array_equal(total, [6, 8])
    np.testing.assert_array_equal(difference, [4, 4])


def test_too_few_inputs_are_an_error(path):
    with pytest.raises(ValueError, match="zip"):
        OnnxSession(path, 1).run(np.zeros(2, np.float32))


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "network.onnx").write_bytes(b"\x08\x07nothing")
    with pytest.raises(ModelError, match=r"network\.onnx"):
        OnnxSession(tmp_path / "network.onnx", 1)


@pytest.mark.skipif(os.name != "posix", reason="limits of files are POSIX's")
def test_a_disk_that_is_full_costs_speed_not_the_result(cache):
    import resource

    weights = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in "xy")
    constant = numpy_helper.from_array(weights, "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path = graphs_folder() / "net" / "network.onnx"
    path.parent.mkdir(parents=True)
    onnx.save_model(model, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (weights.nbytes // 2, hard))
    try:
        session = OnnxSession(path, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [folder.name for folder in graphs_folder().iterdir()] == ["net"]
    mixture = np.ones((1, 64), np.float32)
    np.testing.assert_allclose(session.run(mixture)[0], mixture @ weights, rtol=1e-5)
