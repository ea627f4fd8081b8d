"""The command as users run it: a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers import corpus
from tests.helpers.signals import noise, tones


def unweave(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "unweave", *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def assert_one_line(stderr):
    lines = [line for line in stderr.splitlines() if "warning:" not in line]
    assert len(lines) == 1, stderr
    assert lines[0].startswith("unweave: error: ")


def test_separates_a_song(toy_json, tmp_path):
    song = write(tmp_path / "song.mp3", tones(60_000))
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert files_below(tmp_path / "out") == ["song/accompaniment.wav", "song/vocals.wav"]
    assert read(tmp_path / "out/song/vocals.wav").shape == (2, 60_000)


def test_the_originals_flags(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(100_000))
    result = unweave(
        "separate",
        song,
        "--params_filename",
        toy_json,
        "--output_path",
        tmp_path / "out",
        "--codec",
        "flac",
        "--filename_format",
        "{foldername}-{filename}-{instrument}.{codec}",
        "--offset",
        0.5,
        "--duration",
        1,
        "--bitrate",
        "128k",
        "--mwf",
        "--verbose",
        "--stems",
        "vocals",
    )
    assert result.returncode == 0, result.stderr
    (name,) = files_below(tmp_path / "out")
    assert name == f"{tmp_path.name}-song-vocals.flac"
    assert read(tmp_path / "out" / name).shape == (2, 44_100)


def test_json_for_machines(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(60_000))
    result = unweave("separate", song, tmp_path / "missing.wav", "-p", toy_json, "-o", tmp_path / "out", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert {event["event"] for event in events} == {"progress", "done", "failed"}
    done = next(event for event in events if event["event"] == "done")
    assert set(done["stems"]) == {"vocals", "accompaniment"}
    assert result.returncode == 1


def test_bad_corpus(toy_json, tmp_path):
    folder = corpus.make(tmp_path / "corpus")
    for name in corpus.MUST_FAIL:
        result = unweave("separate", folder / name, "-p", toy_json, "-o", tmp_path / "out")
        assert result.returncode == 1, name
        assert_one_line(result.stderr)
        assert name in result.stderr
    assert not (tmp_path / "out").exists() or files_below(tmp_path / "out") == []
    works = [folder / name for name in corpus.MUST_WORK]
    result = unweave("separate", *works, "-p", toy_json, "-o", tmp_path / "out", "-f", "{filename} {stem}.{codec}")
    # Two of them differ only in their extension; each is tried alone where the names collide.
    for name in corpus.MUST_WORK:
        alone = unweave("separate", folder / name, "-p", toy_json, "-o", tmp_path / "alone" / name)
        assert alone.returncode == 0, (name, alone.stderr)
        assert "Traceback" not in alone.stderr
        for stem in (tmp_path / "alone" / name).rglob("*.wav"):
            assert np.isfinite(read(stem)).all()
    assert read(tmp_path / "alone" / "eight_bit.wav" / "eight_bit" / "vocals.wav").shape == (1, 8000)
    assert read(tmp_path / "alone" / "surround_71.wav" / "surround_71" / "vocals.wav").shape == (2, 48_000)
    assert result.returncode == 1
    assert "files failed" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "no-such-model"],
        ["-c", "midi"],
        ["--bit_depth", "12"],
        ["--stems", "kazoo"],
        ["-b", "loud"],
        ["-f", "{artist}"],
        ["-f", "same.wav"],
        ["--clip", "maybe"],
        ["-d", "-3"],
        ["-s", "-3"],
    ],
)
def test_bad_options(toy_json, tmp_path, arguments):
    song = write(tmp_path / "song.wav", tones(5000))
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "out", *arguments)
    assert result.returncode in (1, 2)
    assert_one_line(result.stderr)
    assert files_below(tmp_path) == sorted(["song.wav", *files_below_toy(tmp_path)])


def files_below_toy(tmp_path):
    return [name for name in files_below(tmp_path) if name.startswith(("toy/", "cache/"))]


def as_an_ordinary_user():
    """What must stand before a command so that file permissions hold for it."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and setpriv is not there to change that")
    capabilities = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"]


def test_a_folder_without_permission(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(5000))
    (tmp_path / "locked").mkdir(mode=0o555)
    command = [*as_an_ordinary_user(), sys.executable, "-m", "unweave", "separate", song, "-p", toy_json]
    result = subprocess.run([*command, "-o", tmp_path / "locked"], capture_output=True, text=True)
    assert result.returncode == 1
    assert_one_line(result.stderr)
    assert "permission denied" in result.stderr
    assert files_below(tmp_path / "locked") == []


def test_a_folder_that_cannot_be_made(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(5000))
    (tmp_path / "file").write_text("in the way")
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "file")
    assert result.returncode == 1
    assert_one_line(result.stderr)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB; needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("codec", ["wav", "flac", "mp3", "ogg", "m4a", "opus"])
def test_a_full_disk(toy_json, tmp_path, small_disk, codec):
    song = write(tmp_path / "song.wav", noise(600_000, level=0.3))
    (small_disk / "filler").write_bytes(b"x" * 300_000)
    result = unweave("separate", song, "-p", toy_json, "-o", small_disk, "-c", codec, "-b", "320k")
    assert result.returncode == 1, result.stderr
    assert_one_line(result.stderr)
    assert "no space" in result.stderr.lower()
    assert files_below(small_disk) == ["filler"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path, separator, number):
    """With the real model: a segment takes its time there."""
    song = write(tmp_path / "song.wav", noise(44_100 * 120))
    process = subprocess.Popen(
        [sys.executable, "-m", "unweave", "separate", song, "-o", tmp_path / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(number)
    sent = time.monotonic()
    _, stderr = process.communicate(timeout=20)
    assert time.monotonic() - sent < 5  # well under a second on a quiet machine; CI's are not
    assert process.returncode == 130
    assert_one_line(stderr)
    assert files_below(tmp_path / "out") == []


def test_nothing_given():
    assert unweave("separate").returncode == 2
