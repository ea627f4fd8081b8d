"""What the original does badly, each with the better behaviour; see docs/migrating.md.

An empty model folder, missing files, failed writes and clipping have their tests beside the code they are about.
"""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.signals import noise
from tests.helpers.toys import TOY, write_toy
from unweave import Separator
from unweave.engines import onnx
from unweave.separation.batch import BatchOptions, separate_files
from unweave.separation.outcome import Task


@pytest.fixture
def slow_toy(tmp_path, cache):
    """A toy at 8 kHz, for long files."""
    return write_toy(tmp_path, dataclasses.replace(TOY, sample_rate=8000, n_frames=512))


def test_nothing_is_cut_off_after_600_seconds(slow_toy, tmp_path):
    n_samples = 8000 * 630
    path = write(tmp_path / "long.flac", noise(n_samples, 1), 8000)
    paths = Separator(str(slow_toy)).separate_file(path, tmp_path / "out")
    stem = read(paths["vocals"])
    assert stem.shape == (1, n_samples)
    assert np.abs(stem[:, -8000:]).max() > 1e-3


# VmHWM is the peak of this very program; ru_maxrss would start from that of the process it was forked from.
PEAK = """
import sys
from unweave import Separator
from unweave.engines import choose
choose.available_processors = lambda: 64
Separator(sys.argv[1], threads=int(sys.argv[4]) or None).separate_file(sys.argv[2], sys.argv[3])
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


def peak_kilobytes(toy, song, out, n_threads=0):
    command = [sys.executable, "-c", PEAK, *map(str, (toy, song, out, n_threads))]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_length(slow_toy, tmp_path):
    peaks = []
    for minutes in (2, 2, 20):  # the first run also converts the model
        path = write(tmp_path / f"{minutes}.wav", noise(8000 * 60 * minutes, 1), 8000)
        peaks.append(peak_kilobytes(slow_toy, path, tmp_path / "out", 2))
    # The 18 minutes more are 69 MB for the song alone, and as much for each stem.
    assert peaks[2] < peaks[1] + 40_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_by_the_number_of_threads(slow_toy, tmp_path):
    """Each thread has a segment of its own in hand, some 3 MB here, and not a share of the song."""
    path = write(tmp_path / "song.wav", noise(8000 * 240, 1), 8000)
    peak_kilobytes(slow_toy, path, tmp_path / "out", 1)  # converts the model
    alone, many = (peak_kilobytes(slow_toy, path, tmp_path / "out", n_threads) for n_threads in (1, 16))
    assert many < alone + 15 * 3_500
    assert peak_kilobytes(slow_toy, path, tmp_path / "out") < alone + 8 * 3_500  # on 64 processors


def test_weights_are_loaded_once_for_many_files(toy_json, tmp_path, monkeypatch):
    Separator(str(toy_json))  # converts and optimises the network
    loaded = []
    session = onnx.onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnx.onnxruntime, "InferenceSession", lambda *args, **kw: loaded.append(args) or session(*args, **kw)
    )
    separator = Separator(str(toy_json))
    path = write(tmp_path / "x.wav", noise(5000))
    outcomes = separate_files(separator, [Task(path, tmp_path / str(n)) for n in range(5)], BatchOptions(jobs=2))
    assert [outcome.status for outcome in outcomes] == ["done"] * 5
    assert len(loaded) == 1


def test_one_stem_alone(toy_json, tmp_path):
    path = write(tmp_path / "x.wav", noise(5000))
    paths = Separator(str(toy_json)).separate_file(path, tmp_path / "out", stems=["vocals"])
    assert list(paths) == ["vocals"]
    assert [p.name for p in (tmp_path / "out/x").iterdir()] == ["vocals.wav"]
