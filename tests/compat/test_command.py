"""The original's command lines."""

import pytest
from typer.testing import CliRunner

from tests.audio.test_files import read, write
from tests.helpers.signals import tones
from tests.training.test_plan import spleeter_files
from unweave.cli.spleeter import app


def spleeter(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def audio(tmp_path):
    return write(tmp_path / "audio.wav", tones(88_200))


def test_version():
    result = spleeter("--version")
    assert result.exit_code == 0
    assert "Spleeter Version" in result.stdout


def test_separate(toy_json, audio, tmp_path):
    result = spleeter(
        "separate", "-p", toy_json, "-o", tmp_path / "out", "-c", "flac", "-b", "128k", "-s", 0.5, "-d", 1.0,
        "-f", "{filename}/{instrument}.{codec}", "--mwf", "--verbose",
        "-a", "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter", audio,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert read(tmp_path / "out/audio/vocals.flac").shape == (2, 44_100)


def test_deprecated_flags_warn(toy_json, audio, tmp_path):
    result = spleeter("separate", "-i", audio, "-p", toy_json, "-o", tmp_path / "out", "-B", "tensorflow", "-m")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("deprecated") == 2
    assert (tmp_path / "out/audio/vocals.wav").is_file()


def test_a_missing_file_is_a_failure(toy_json, audio, tmp_path):
    result = spleeter("separate", tmp_path / "missing.mp3", audio, "-p", toy_json, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "missing.mp3" in result.stderr
    assert (tmp_path / "out/audio/vocals.wav").is_file()


def test_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configuration = spleeter_files(tmp_path)
    result = spleeter("train", "-p", configuration, "-d", tmp_path / "data", "--verbose")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "toy_model" / "model.safetensors").is_file()


def test_train_without_lists_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configuration = spleeter_files(tmp_path, train_csv="none.csv")
    assert spleeter("train", "-p", configuration, "-d", tmp_path).exit_code == 2


def test_no_file_is_a_failure(toy_json):
    assert spleeter("separate", "-p", toy_json).exit_code == 2
