"""The original's command lines."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.audio.test_files import read, write
from tests.helpers.signals import tones
from tests.training.test_plan import spleeter_files
from unweave.cli.spleeter import app
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.__main__ import separate
from unweave.compat.spleeter.audio import Codec, STFTBackend
from unweave.evaluation.tracks import find_tracks


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


def test_the_misspelt_option_of_old_versions(toy_json, audio, tmp_path):
    arguments = ["separate", "--codec", "mp3", "-i", audio, "-o", tmp_path / "out", "-p", toy_json]
    assert spleeter(*arguments, "--birate", "320k").exit_code == 0
    loud = (tmp_path / "out/audio/vocals.mp3").stat().st_size
    assert spleeter(*arguments).exit_code == 0
    assert loud > 2 * (tmp_path / "out/audio/vocals.mp3").stat().st_size


def test_what_was_written_is_told_as_other_programs_expect_it(toy_json, audio, tmp_path):
    """They count these lines to see how far a run is, and take it for a failure where there are none."""
    other = write(tmp_path / "other.wav", tones(1000))
    result = spleeter("separate", audio, "missing.wav", other, "-p", toy_json, "-o", tmp_path / "out", "-c", "mp3")
    assert result.stdout.splitlines() == [
        f"INFO:spleeter:File {tmp_path / 'out' / song / stem}.mp3 written succesfully"
        for song in ("audio", "other")
        for stem in ("vocals", "accompaniment")
    ]


def test_weights_that_cannot_be_had_are_one_line(audio, tmp_path, cache, monkeypatch):
    monkeypatch.setenv("UNWEAVE_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    result = spleeter("separate", "-p", "spleeter:5stems", audio, audio.with_name("other.wav"), "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.count("the weights 5stems could not be fetched") == result.stderr.count("\n") == 1


def test_the_command_as_a_function(toy_json, audio, tmp_path):
    separate(
        deprecated_files=None, files=[audio], adapter="spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter",
        bitrate="128k", codec=Codec.WAV, duration=1.0, offset=0, output_path=tmp_path / "out",
        stft_backend=STFTBackend.AUTO, filename_format="{foldername}/{instrument}.{codec}",
        params_filename=str(toy_json), mwf=False, verbose=True,
    )  # fmt: skip
    assert read(tmp_path / "out" / tmp_path.name / "vocals.wav").shape == (2, 44_100)
    with pytest.raises(SpleeterError, match="no such file"):
        separate(files=[tmp_path / "missing.wav"], output_path=tmp_path, params_filename=str(toy_json))


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


@pytest.mark.parametrize("splits", [("train", "test"), ("",)], ids=["MUSDB18", "other"])
def test_evaluate_takes_the_songs_for_testing(tmp_path, monkeypatch, splits):
    """And leaves the scores where the original leaves them; what they are is tested with `unweave evaluate`."""
    asked = []
    monkeypatch.setattr("unweave.cli.evaluate.run_evaluation", lambda *arguments, **options: asked.append(arguments))
    for split in splits:
        for name in ("mixture", "vocals"):
            write(tmp_path / "set" / split / f"song to {split or 'score'}" / f"{name}.wav", tones(100))
    result = spleeter("evaluate", "-p", "4stems", "-o", tmp_path / "out", "--mus_dir", tmp_path / "set")
    assert result.exit_code == 0, result.stderr
    ((folder, model, scores),) = asked
    assert [track.name for track in find_tracks(folder)] == [f"song to {splits[-1] or 'score'}"]
    assert (model, scores) == ("spleeter:4stems", tmp_path / "out" / "metrics" / "test")


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


def test_a_file_that_fails_in_an_unforeseen_way_does_not_end_the_run(toy_json, audio, tmp_path, monkeypatch):
    (tmp_path / "faulty_adapter.py").write_text(
        "import os\n"
        "from unweave.compat.spleeter.audio.adapter import LibraryAudioAdapter\n"
        "class Faulty(LibraryAudioAdapter):\n"
        "    def load(self, path, *arguments, **options):\n"
        "        if os.path.basename(path) == 'first.wav':\n"
        "            raise MemoryError\n"
        "        return super().load(path, *arguments, **options)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    first = write(tmp_path / "first.wav", tones(100))
    result = spleeter(
        "separate", first, audio, "-p", toy_json, "-o", tmp_path / "out", "-a", "faulty_adapter.Faulty"
    )  # fmt: skip
    assert result.exit_code == 1
    assert "first.wav: MemoryError" in result.stderr
    assert "1 of 2 files failed" in result.stderr
    assert (tmp_path / "out/audio/vocals.wav").is_file()


def test_stems_never_replace_another_songs_stems_or_an_input(toy_json, tmp_path):
    first = write(tmp_path / "one" / "song.wav", tones(1000))
    second = write(tmp_path / "two" / "song.wav", tones(2000))
    result = spleeter("separate", first, second, "-p", toy_json, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "is already taken by" in result.stderr
    assert read(tmp_path / "out/song/vocals.wav").shape == (2, 1000)
    other = write(tmp_path / "out" / "x" / "vocals.wav", tones(3000))
    result = spleeter("separate", write(tmp_path / "x.wav", tones(10)), other, "-p", toy_json, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "would overwrite the input" in result.stderr
    assert read(other).shape == (2, 3000)


def test_one_file_by_several_paths_is_done_once(toy_json, audio, tmp_path):
    paths = [audio, audio.parent / "x" / ".." / audio.name]
    (audio.parent / "x").mkdir()
    result = spleeter("separate", *paths, "-p", toy_json, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr


def test_a_link_to_itself_is_one_files_failure(toy_json, audio, tmp_path):
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    result = spleeter("separate", tmp_path / "loop.wav", audio, "-p", toy_json, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "loop.wav" in result.stderr
    assert "1 of 2 files failed" in result.stderr
    assert (tmp_path / "out/audio/vocals.wav").is_file()


@pytest.mark.parametrize("arguments", [("-f", "song"), ("-c", "tape"), ("-b", "loud"), ("-s", "nan"), ("-d", "-1")])
def test_options_that_make_no_sense_are_refused_before_any_file(toy_json, audio, tmp_path, arguments):
    result = spleeter("separate", audio, "-p", toy_json, "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_as_a_module(toy_json, audio, tmp_path):
    command = [
        sys.executable,
        "-m",
        "unweave.compat.spleeter",
        "separate",
        audio,
        "-p",
        toy_json,
        "-o",
        tmp_path / "out",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out/audio/vocals.wav").is_file()
    run = subprocess.run([*command[:3], "--help"], capture_output=True, text=True, check=False)
    assert "python -m unweave.compat.spleeter" in run.stdout


def test_no_file_is_a_failure(toy_json):
    assert spleeter("separate", "-p", toy_json).exit_code == 2
