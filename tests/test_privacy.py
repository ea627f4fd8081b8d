"""Nothing leaves the machine: whole runs under strace, with a home of their own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import unweave
from tests.helpers.signals import noise

SOURCE = Path(unweave.__file__).parents[1]
WATCHED_SECONDS = 12  # the telemetry of ONNX Runtime asks for its collector some six seconds after it is loaded
MIXTURE = "numpy.full((2, 44100), 0.01, numpy.float32)"

API = f"""
import time, numpy
from unweave import Separator
Separator("unweave:5stems", device="cpu", offline=True).separate({MIXTURE}, 44100)
time.sleep({WATCHED_SECONDS})
"""
OPENVINO = f"""
import time, numpy
from unweave import Separator
separator = Separator("unweave:5stems", device="cpu", precision="bfloat16", offline=True)
separator.separate({MIXTURE}, 44100)
time.sleep({WATCHED_SECONDS})
"""
COMMAND = f"""
import sys, time
from unweave.cli.main import app
try:
    app(["separate", "song.wav", "-p", "unweave:4stems", "--offline", "-o", "out"])
finally:
    time.sleep({WATCHED_SECONDS})
"""
ASKS = "import socket\ntry: socket.getaddrinfo('unweave.invalid', 80)\nexcept OSError: pass"


@pytest.fixture
def traced(tmp_path):
    """Runs Python code under strace, in a home of its own; returns the calls that reach for the network."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    home = tmp_path / "home"
    home.mkdir()
    soundfile.write(tmp_path / "song.wav", noise(44100).T, 44100)

    def run(code):
        (tmp_path / "code.py").write_text(code)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "UNWEAVE_", "XDG_"))}
        environment = {**kept, "HOME": str(home), "PYTHONPATH": str(SOURCE), "CI": ""}
        command = ["strace", "-f", "-qq", "-e", "trace=%network", "-o", tmp_path / "trace", sys.executable, "code.py"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        lines = (tmp_path / "trace").read_text().splitlines()
        return [line for line in lines if re.search(r"AF_INET|nscd|sendmmsg|sendto\(", line)]

    run.home = home
    return run


def test_a_question_to_a_name_server_would_be_seen(traced):
    assert traced(ASKS)


@pytest.mark.parametrize("code", [API, COMMAND, OPENVINO], ids=["api", "command", "openvino"])
def test_a_whole_run_asks_nobody_and_leaves_no_identity(traced, code):
    assert traced(code) == []
    left = [path.relative_to(traced.home) for path in traced.home.rglob("*") if path.is_file()]
    assert [path for path in left if path.parts[:2] != (".cache", "unweave")] == []


def test_what_the_user_decided_about_telemetry_is_kept(monkeypatch):
    code = "import os, unweave; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, expected in ((None, "1"), ("0", "0")):
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        environment.pop("ORT_DISABLE_TELEMETRY", None)
        if given is not None:
            environment["ORT_DISABLE_TELEMETRY"] = given
        output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert output.stdout.strip() == expected


def test_onnx_runtime_is_silenced_where_it_was_imported_first():
    code = (
        "import onnxruntime; calls = []\n"
        "onnxruntime.disable_telemetry_events = lambda: calls.append(1)\n"
        "import unweave.engines.onnx; assert calls == [1]"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_ray_reports_nothing(monkeypatch):
    from unweave.cluster import run

    seen = []
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    monkeypatch.setattr(run.ray, "init", lambda **options: seen.append(os.environ["RAY_USAGE_STATS_ENABLED"]))
    run._connect(None)
    assert seen == ["0"]
