"""Numbers below the smallest normal one, which some processors are slow with."""

import ctypes
import platform
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from unweave.engines import denormals
from unweave.engines.denormals import without_denormals
from unweave.engines.onnx import OnnxNetwork, OnnxSession

SMALL = np.float32(2e-38)  # normal; half of it is not
pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="no such setting here")


def halved():
    return np.full(64, SMALL) * np.float32(0.5)


def test_they_are_zero_for_as_long_as_the_context_lasts():
    assert halved().all()
    with without_denormals():
        assert not halved().any()
        with without_denormals():
            assert not halved().any()
        assert not halved().any()
    assert halved().all()


def test_an_error_restores_them_too():
    with pytest.raises(KeyError), without_denormals():
        raise KeyError
    assert halved().all()


@pytest.mark.skipif(sys.platform != "linux", reason="another library there")
def test_they_stay_where_the_c_library_shows_no_such_functions(monkeypatch):
    denormals._c_library.cache_clear()
    monkeypatch.setattr(ctypes, "PyDLL", lambda name: object())
    try:
        with without_denormals():
            assert halved().all()
    finally:
        denormals._c_library.cache_clear()


@pytest.fixture
def halving(tmp_path):
    """A network that makes one stem of magnitudes (1, channels, frames, bins): half of them."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, "frames", 64])
    taken = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 2, "frames", 64])
    constants = (
        helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5]),
        helper.make_tensor("0", TensorProto.INT64, [1], [0]),
    )
    nodes = helper.make_node("Mul", ["x", "half"], ["less"]), helper.make_node("Unsqueeze", ["less", "0"], ["y"])
    graph = helper.make_graph(nodes, "g", [given], [taken], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save_model(model, tmp_path / "network.onnx")
    return tmp_path / "network.onnx"


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_session_takes_them_for_zero_and_its_caller_does_not(halving, n_threads):
    session = OnnxSession(halving, n_threads)
    magnitudes = np.full((1, 2, 4096, 64), SMALL)  # enough that two threads share them
    assert not session.run(magnitudes)[0].any()
    assert halved().all()


FIRST = """
import sys
from pathlib import Path
import numpy as np
from unweave.engines.onnx import OnnxSession
OnnxSession(Path(sys.argv[1]), 1)
print((np.full(64, 2e-38, np.float32) * np.float32(0.5)).all())
"""


def test_opening_the_first_session_of_a_process_changes_nothing(halving):
    done = subprocess.run([sys.executable, "-c", FIRST, str(halving)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def test_masking_networks_as_well(halving):
    magnitudes = np.full((2, 64, 64), SMALL)
    assert not OnnxNetwork(halving).estimate(magnitudes).any()
    assert halved().all()
