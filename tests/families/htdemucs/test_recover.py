"""The state dict out of a graph that was exported from it: here one that is written as PyTorch's exporter writes it."""

import dataclasses
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.families.htdemucs.small import SPECS, random_weights
from unweave.errors import CheckpointError
from unweave.families.htdemucs.recover import is_half_precision, recover_state

SPEC = dataclasses.replace(SPECS["four"], t_layers=5)


class Exported:
    """Initialisers and nodes under the exporter's names; what computes nothing of interest is left out."""

    def __init__(self, weights):
        self.nodes, self.tensors = [], []
        for name, array in weights.items():
            self._take(name, array)
        self.tensors.append(numpy_helper.from_array(np.float32(3), "onnx::Pow_1"))
        self._node("Pow", "/Pow", "onnx::Pow_1")

    def save(self, path):
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
        onnx.save(helper.make_model(helper.make_graph(self.nodes, "g", [value], [value], self.tensors)), path)
        return path

    def _node(self, kind, name, initialiser):
        self.nodes.append(helper.make_node(kind, ["x", initialiser], [f"out_{len(self.nodes)}"], name=name))

    def _anonymous(self, kind, name, array):
        initialiser = f"onnx::{kind}_{5000 + len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), initialiser))
        self._node(kind, name, initialiser)

    def _take(self, name, array):
        module, _, part = name.rpartition(".")
        path = "/" + re.sub(r"^((?:cross)\w+)\.", r"\1/", re.sub(r"\.(dconv|layers)", r"/\1", module))
        path = re.sub(r"/(layers\.\d+)\.(\d+)$", r"/\1/\1.\2", path)
        path = re.sub(r"\.(self_attn|cross_attn|linear\d|norm_out)", r"/\1", path)
        if name == "freq_emb.embedding.weight":
            self._anonymous("Expand", "/Expand", (array * np.float32(10)).T[None, :, :, None])
        elif module.endswith(
            ("dconv.layers.0.1", "dconv.layers.0.4", "dconv.layers.1.1", "dconv.layers.1.4", "norm_out")
        ):
            kind = "Mul" if part == "weight" else "Add"
            self._anonymous(kind, f"{path}/{kind}", array[:, None])
        elif part == "scale" and ".dconv." in name:
            self._anonymous("Mul", f"{path}/Mul", array[:, None])
        elif (part == "weight" and "linear" in name) or (part == "in_proj_weight" and "self_attn" in name):
            self._anonymous("MatMul", f"{path}/MatMul", array.T)
        elif part.startswith("in_proj") and ".layers." in name and "cross_attn" in name:
            width = len(array) // 3
            kind = "MatMul" if part == "in_proj_weight" else "Add"
            self._anonymous(kind, f"{path}/{kind}", array[:width].T)
            self._anonymous(kind, f"{path}/{kind}_1", array[width:].T)
        else:
            self.tensors.append(numpy_helper.from_array(array, name))


@pytest.fixture(scope="module")
def weights():
    return {name: array.astype(np.float16).astype(np.float32) for name, array in random_weights(SPEC).items()}


def test_every_tensor_comes_back_exactly(weights, tmp_path):
    state = recover_state(Exported(weights).save(tmp_path / "exported.onnx"), SPEC)
    assert list(state) == list(SPEC.shapes())
    for name, array in weights.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)
    assert is_half_precision(state)
    assert not is_half_precision({"x": np.float32([1 / 3])})


def test_what_is_missing_is_named(weights, tmp_path):
    some = {name: array for name, array in weights.items() if name != "crosstransformer.layers.2.linear1.weight"}
    path = Exported(some).save(tmp_path / "exported.onnx")
    with pytest.raises(CheckpointError, match=r"crosstransformer\.layers\.2\.linear1\.weight"):
        recover_state(path, SPEC)


@pytest.mark.parametrize("content", [b"", b"not an ONNX file", None])
def test_files_that_are_no_export(content, tmp_path):
    path = tmp_path / "exported.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError):
        recover_state(path, SPEC)
