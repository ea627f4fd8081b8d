"""All engines compute the same stems as ONNX Runtime in float32."""

import dataclasses
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.signals import error_db, noise, song
from tests.helpers.toys import TOY, TOY_FIVE, TOY_FOUR, random_variables, write_toy
from unweave import OptionError, Separator
from unweave.families.masking import MaskingSeparator
from unweave.families.unet.weights import read_unets, unets_to_arrays
from unweave.models.resolve import resolve

AVERAGE = dataclasses.replace(TOY, mask_extension="average", mask_exponent=1.0)


@pytest.mark.parametrize("spec", [TOY, TOY_FOUR, TOY_FIVE, AVERAGE], ids=["two", "four", "five", "average"])
def test_pytorch_equals_onnx_runtime(tmp_path, cache, spec):
    from unweave.engines.torch import TorchSeparator
    from unweave.families.torch_network import load_network

    path = write_toy(tmp_path, spec)
    reference = Separator(str(path), device="cpu", quality="exact")
    model = resolve(str(path))
    location = model.locate(True, print)
    torch_separator = TorchSeparator(model.spec, load_network(model.spec, location), "cpu", "float32")
    segment = noise(spec.segmentation.length)
    stems = list(range(len(spec.stems)))[::-1]
    expected = MaskingSeparator(model.spec, reference.loaded[0].masking.network).separate(segment, stems, is_first=True)
    assert error_db(torch_separator.separate(segment, stems, is_first=True), expected) < -60
    magnitude = np.abs(noise(64 * 32).reshape(2, 32, 64))
    magnitude = np.repeat(magnitude, 2, axis=1)
    estimates = reference.loaded[0].masking.network.estimate(magnitude)
    assert error_db(torch_separator.estimate(magnitude), estimates) < -60


COMPILERS = ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow), None]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.filterwarnings("ignore")  # the compiler's, about the machine
def test_a_compiled_network_equals_a_plain_one(monkeypatch, caplog, compiler):
    """Traced but not compiled, since a compiler takes minutes; compiled; and where there is no compiler."""
    import functools
    import shutil

    import torch

    from unweave.engines.torch import TorchSeparator
    from unweave.families.torch_network import new_network

    if compiler == "inductor" and shutil.which("g++") is None:
        pytest.skip("compiling for the CPU needs g++")

    def broken(network, **options):
        def run(magnitudes):
            raise RuntimeError("no compiler")

        return run

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=compiler) if compiler else broken)
    torch.manual_seed(0)
    network = new_network(TOY).eval()
    segment = noise(TOY.segmentation.length)
    plain = TorchSeparator(TOY, network, "cpu", "float32").separate(segment, [0, 1], is_first=True)
    compiled = TorchSeparator(TOY, network, "cpu", "float32", compiled=True)
    for _ in range(2):
        assert error_db(compiled.separate(segment, [0, 1], is_first=True), plain) < -60
    assert ("cannot be compiled" in caplog.text) is (compiler is None)


def test_pytorch_equals_onnx_runtime_on_the_official_model(separator):
    from unweave.engines.torch import TorchSeparator
    from unweave.families.torch_network import load_network

    location = resolve("spleeter:2stems").locate(False, lambda *progress: None)
    torch_separator = TorchSeparator(separator.spec, load_network(separator.spec, location), "cpu", "float32")
    segment = song(12.0)[:, : separator.spec.segmentation.length]
    segment = np.pad(segment, [(0, 0), (0, separator.spec.segmentation.length - segment.shape[1])])
    expected = MaskingSeparator(separator.spec, separator.loaded[0].masking.network).separate(
        segment, [0, 1], is_first=True
    )
    assert error_db(torch_separator.separate(segment, [0, 1], is_first=True), expected) < -60


def test_weights_there_and_back():
    from unweave.families.unet.network import unets_from_weights, unets_to_weights

    weights = read_unets(random_variables(TOY_FOUR), TOY_FOUR)
    again = unets_to_weights(unets_from_weights(weights, TOY_FOUR))
    first, second = (unets_to_arrays(each, TOY_FOUR.stems) for each in (weights, again))
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)


def test_lower_precision_stays_close(separator):
    """Against the mixture's level: a stem far below it loses more of its own. Processors round halves differently."""
    mixture = song(13.0)
    expected = separator.separate(mixture, 44100)
    halved = Separator("spleeter:2stems", quality="exact", device="cpu", precision="bfloat16")
    for name, stem in halved.separate(mixture, 44100).items():
        assert error_db(mixture + stem, mixture + expected[name]) < -40


def test_float16_is_not_for_the_cpu():
    """It is slower than float32 there, and what is larger than 65,504 becomes infinite."""
    with pytest.raises(OptionError, match="float16 is for graphics cards"):
        Separator("spleeter:2stems", device="cpu", precision="float16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "expected one of the devices"),
        ({"precision": "int3"}, "expected one of the precisions"),
        ({"device": "cuda:99"}, "(no device|pip install)"),
    ],
)
def test_what_is_not_to_be_had(toy_json, options, message):
    with pytest.raises(OptionError, match=message):
        Separator(str(toy_json), **options)


def test_what_to_install_is_said(toy_json, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find_spec(name))
    with pytest.raises(OptionError, match=r"unweave\[gpu\]"):
        Separator(str(toy_json), device="cuda")
    assert Separator(str(toy_json), device="auto").stems == TOY.stems


HYBRID_AFTER_FORK = """
import os, signal, sys
import numpy as np
from pathlib import Path
from unweave.engines.onnx import OnnxSession
signal.alarm(100)
network = OnnxSession(Path(sys.argv[1]), 2)
inputs = [np.ones((1, 2, 256, 256), np.float32)] * 2
expected = network.run(*inputs)[0]
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
signal.alarm(30)
os._exit(0 if np.array_equal(network.run(*inputs)[0], expected) else 3)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_network_on_several_threads_runs_in_a_forked_child(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    shape = [1, 2, 256, 256]
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("mixture", "spectrum", "a", "b")
    ]
    nodes = [helper.make_node("MatMul", ["mixture", "spectrum"], ["a"]), helper.make_node("Softmax", ["a"], ["b"])]
    graph = helper.make_graph(nodes, "hybrid", infos[:2], infos[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "hybrid.onnx")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", HYBRID_AFTER_FORK, tmp_path / "hybrid.onnx"]
    assert subprocess.run(command, check=False).returncode == 0


SESSIONS_IN_TURN = """
import sys
import numpy as np
from pathlib import Path
from unweave.engines.onnx import OnnxSession

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

x = np.ones((1, 16, 512, 512), np.float32)
sessions = [OnnxSession(Path(sys.argv[1]), 1) for _ in range(4)]
peaks = [peak()]
for session in sessions:
    session.run(x)
    peaks.append(peak())
print(peaks[1] - peaks[0], peaks[-1] - peaks[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_networks_that_run_in_turn_share_their_memory(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    shape = [1, 16, 512, 512]  # 16 MB
    nodes = [helper.make_node("Sin", ["x"], ["a"]), helper.make_node("Cos", ["x"], ["b"])]
    nodes += [helper.make_node("MatMul", ["a", "b"], ["c"]), helper.make_node("ReduceMax", ["c"], ["y"])]
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    ports.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 1]))
    model = helper.make_model(helper.make_graph(nodes, "sines", ports[:1], ports[1:]), ir_version=8)
    model.opset_import[0].version = 17
    onnx.save(model, tmp_path / "sines.onnx")
    command = [sys.executable, "-c", SESSIONS_IN_TURN, tmp_path / "sines.onnx"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    one, more = map(float, done.stdout.split())
    assert one > 40  # megabytes: three buffers
    assert more < one / 3
