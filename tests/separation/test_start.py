"""What is imported before the first sample is separated: nothing that the run does not use."""

import subprocess
import sys

import soundfile

from tests.helpers.signals import tones

# What takes long to import, and is for other formats, devices, networks and commands than those of a plain run.
UNUSED = {
    "av",
    "cffi",
    "filelock",
    "onnx",
    "openvino",
    "pydantic",
    "requests",
    "rich",
    "safetensors",
    "scipy",
    "soundfile",
    "torch",
    "yaml",
    "unweave.audio.ffmpeg",
    "unweave.families.bands",
    "unweave.families.foreign",
    "unweave.models.checkpoints",
    "unweave.models.fetch",
    "unweave.models.tf_checkpoint",
    "unweave.separation.file_ensemble",
    "unweave.separation.live",
    "unweave.separation.remix",
    "unweave.studio",
    "unweave.training",
}
COMMAND = """
import sys
from unweave.cli.main import app
app(sys.argv[1:], standalone_mode=False)
print("modules", *sorted(sys.modules))
"""


def modules_of(*arguments):
    done = subprocess.run([sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_from_wav_to_wav(tmp_path, toy_json, toy):  # toy: its network is in the cache by now
    song = tmp_path / "song.wav"
    soundfile.write(song, tones(20_000).T, 44100)
    imported = modules_of("separate", str(song), "-p", str(toy_json), "-o", str(tmp_path / "stems"))
    assert (tmp_path / "stems" / "song" / "vocals.wav").exists()
    assert "onnxruntime" in imported
    assert imported & UNUSED == set()
