"""Every family by OpenVINO: in float32 the stems of the graph by ONNX Runtime, in bfloat16 nearly those."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tests.families.htdemucs.small import signal
from tests.families.test_twins import CASES, made
from tests.helpers.signals import error_db
from unweave.engines import choose
from unweave.engines.choose import Runtime
from unweave.engines.openvino import OpenVinoSession
from unweave.errors import ModelError, OptionError

pytest.importorskip("openvino")


@pytest.mark.parametrize(("family", "case"), CASES)
def test_stems_in_each_precision(family, case, tmp_path, monkeypatch):
    spec, tensors = made(family, case, tmp_path)
    package = importlib.import_module(f"unweave.families.{family}")
    (tmp_path / "network").mkdir()
    package.write_network(spec, tensors, tmp_path / "network")

    def stems(precision):
        separator = package.open_separator(spec, tmp_path / "network", Runtime("cpu", precision, n_threads=1))
        segment = signal(separator.segmentation.length, getattr(spec, "audio_channels", 2))
        n_stems = len(getattr(separator, "stems", spec.stems))
        return separator.separate(segment, range(n_stems), is_first=True)

    by_onnx_runtime, halved = stems("float32"), stems("bfloat16")
    assert np.full(9, 2e-38, np.float32).sum() * np.float32(0.01)  # this thread still knows denormal numbers
    monkeypatch.setattr(choose, "PLAIN", ())
    by_openvino = stems("float32")
    assert by_onnx_runtime.std() > 1e-3
    assert error_db(by_openvino, by_onnx_runtime) < -90
    # The random weights of the small Demucs networks make much of what is rounded; trained ones stay below −40 dB.
    assert -85 < error_db(halved, by_onnx_runtime) < (-6 if "demucs" in family else -25)


def test_a_precision_that_needs_what_is_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r'precision bfloat16 on the CPU needs: pip install "unweave\[openvino\]"'):
        choose.require_runtime(Runtime("cpu", "bfloat16"))
    choose.require_runtime(Runtime("cpu", "float32"))


def test_what_an_installation_left_behind_is_none(tmp_path, monkeypatch):
    """A folder without its modules can be imported, and is found by its name."""
    for name in [name for name in sys.modules if name.startswith("openvino.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "unweave.engines.openvino_operators", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", ModuleType("openvino"))
    with pytest.raises(OptionError, match="precision bfloat16 on the CPU needs"):
        OpenVinoSession(tmp_path / "network.onnx", 1, "bfloat16")


def test_a_network_that_openvino_cannot_run_is_the_models_fault(tmp_path, monkeypatch):
    spec, tensors = made("mdx", "denoise", tmp_path)
    package = importlib.import_module("unweave.families.mdx")
    package.write_network(spec, tensors, tmp_path)
    session = OpenVinoSession(tmp_path / "network.onnx", 1, "bfloat16")

    def compile_model(*arguments):
        raise RuntimeError("no such layer")

    core = SimpleNamespace(read_model=session._core.read_model, compile_model=compile_model)
    monkeypatch.setattr(session, "_core", core)
    with pytest.raises(ModelError, match=r"cannot run .*network.onnx: no such layer"):
        session.run(np.zeros((1, 4, spec.n_bins, spec.n_frames), np.float32))
