"""`unweave live` on a real sound library, with ALSA's device that hears silence and plays to nobody."""

import ctypes.util
import os
import re
import signal
import subprocess
import sys

import pytest

CONFIGURATION = """
</usr/share/alsa/alsa.conf>
pcm.!default { type null }
ctl.!default { type null }
"""

pytestmark = pytest.mark.skipif(
    not ctypes.util.find_library("portaudio") or not os.path.exists("/usr/share/alsa/alsa.conf"),
    reason="no program: libportaudio2 with ALSA is not installed",
)


def start(toy_json, tmp_path, *arguments):
    (tmp_path / "asound.conf").write_text(CONFIGURATION)
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}
    command = [sys.executable, "-m", "unweave", "live", "-p", toy_json, "--latency", "20", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def test_it_plays_until_it_is_interrupted(toy_json, tmp_path):
    process = start(toy_json, tmp_path)
    lines = iter(process.stderr.readline, "")
    assert any(line.startswith("latency") for line in lines)
    assert any(line.startswith("playing") for line in lines)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 0, rest
    assert re.search(r"^\d+ drop-outs$", rest, re.MULTILINE)
    assert "Traceback" not in rest


@pytest.mark.parametrize("name", ["no such card", "²"])
def test_a_card_that_is_not_there(toy_json, tmp_path, name):
    process = start(toy_json, tmp_path, "-i", name)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert "cannot open the sound card" in rest.splitlines()[-1]
    assert "Traceback" not in rest
