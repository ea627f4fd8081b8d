"""Lack of memory is the same exception, whatever engine runs out of it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from unweave.engines.lack_of_memory import lack_of_memory_told
from unweave.engines.onnx import OnnxSession


def test_onnx_runtime(tmp_path):
    x, shape = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("x", "shape"))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])
    nodes = [
        helper.make_node("Cast", ["shape"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Expand", ["x", "whole"], ["y"]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x, shape], [y]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 9
    onnx.save_model(model, tmp_path / "network.onnx")
    session = OnnxSession(tmp_path / "network.onnx", 1)
    one = np.ones(1, np.float32)
    with pytest.raises(MemoryError, match="not enough memory for this network"):
        session.run(one, one * 2**45)
    np.testing.assert_array_equal(session.run(one, one * 3)[0], [1, 1, 1])


def test_pytorch():
    torch = pytest.importorskip("torch")
    from unweave.engines.torch_session import TorchSession

    class Large(torch.nn.Module):
        def forward(self, x):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    with pytest.raises(MemoryError, match="not enough memory for this network"):
        TorchSession(Large(), "cpu").run(np.ones(1, np.float32))


def test_other_errors_pass():
    with pytest.raises(ValueError, match="shape"), lack_of_memory_told():
        raise ValueError("another shape")
