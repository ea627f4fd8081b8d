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
RUNS = {"api": API, "command": COMMAND, "openvino": OPENVINO}
ASKS = "import socket\ntry: socket.getaddrinfo('unweave.invalid', 80)\nexcept OSError: pass"


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


class Traced:
    """A Python program under strace, in a home of its own."""

    def __init__(self, folder, code):
        self._folder, self._home = folder, folder / "home"
        self._home.mkdir(parents=True)
        soundfile.write(folder / "song.wav", noise(44100).T, 44100)
        (folder / "code.py").write_text(code)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "UNWEAVE_", "XDG_"))}
        environment = {**kept, "HOME": str(self._home), "PYTHONPATH": str(SOURCE), "CI": ""}
        command = ["strace", "-f", "-qq", "-e", "trace=%network", "-o", folder / "trace", sys.executable, "code.py"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen(command, cwd=folder, env=environment, **pipes, text=True)

    def calls(self):
        """The calls that reach for the network, once the program has ended."""
        _, errors = self._process.communicate(timeout=300)
        assert self._process.returncode == 0, errors
        lines = (self._folder / "trace").read_text().splitlines()
        return [line for line in lines if re.search(r"AF_INET|nscd|sendmmsg|sendto\(", line)]

    def left(self):
        """What it has left in the home, beside our own cache."""
        files = [path.relative_to(self._home) for path in self._home.rglob("*") if path.is_file()]
        return [path for path in files if path.parts[:2] != (".cache", "unweave")]


@needs_strace
def test_a_question_to_a_name_server_would_be_seen(tmp_path):
    assert Traced(tmp_path, ASKS).calls()


@needs_strace
def test_whole_runs_ask_nobody_and_leave_no_identity(tmp_path):
    """All at once, since they wait longer than they work."""
    runs = {name: Traced(tmp_path / name, code) for name, code in RUNS.items()}
    for name, run in runs.items():
        assert run.calls() == [], name
        assert run.left() == [], name


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
    from unweave.cluster import pool

    seen = []
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    monkeypatch.setattr(pool.ray, "init", lambda **options: seen.append(os.environ["RAY_USAGE_STATS_ENABLED"]))
    pool._connect(None)
    assert seen == ["0"]


def test_a_ray_of_our_own_listens_to_no_network(monkeypatch):
    """Whoever can reach a Ray can have it run anything. One with an address is the user's own, and stays as it is."""
    from ray._private import ray_constants

    from unweave.cluster import pool

    def init(**options):
        seen.append((options["address"], ray_constants.ENABLE_RAY_CLUSTER, os.environ.get(pool.RAY_ON_NETWORK)))
        assert os.environ["PYTHONPATH"] == os.pathsep.join([here, os.path.join(here, "src")])
        assert os.getcwd() != here

    seen, here = [], os.getcwd()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([".", "src"]))
    monkeypatch.delenv(pool.RAY_ON_NETWORK, raising=False)
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    monkeypatch.setattr(pool.ray, "init", init)
    for address in (None, "auto"):
        pool._connect(address)
        assert (os.getcwd(), os.environ["PYTHONPATH"]) == (here, os.pathsep.join([".", "src"]))
    assert seen == [("local", False, "0"), ("auto", True, None)]
