import numpy as np
import pytest
from typer.testing import CliRunner

from tests.helpers.signals import noise
from unweave.cli.main import app
from unweave.separation.separator import Separator


@pytest.fixture
def run(cache):
    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


def test_list_and_info(run):
    listing = run("models", "list").stdout
    for name in ("spleeter:2stems", "spleeter:4stems-16kHz", "spleeter:5stems"):
        assert name in listing
    info = run("models", "info", "spleeter:5stems").stdout
    assert "vocals, piano, drums, bass, other" in info
    assert "softmax" in info


def test_path_of_absent_weights_fails(run):
    result = run("models", "path", "spleeter:4stems")
    assert result.exit_code == 1
    assert "offline" in result.stderr


def test_fetch_offline_fails(run):
    assert run("models", "fetch", "spleeter:2stems", "--offline").exit_code == 1


def test_add_then_separate(run, toy_json):
    added = run("models", "add", "mine", toy_json.parent / "weights", "--config", toy_json)
    assert added.exit_code == 0, added.stderr
    assert "mine" in run("models", "list").stdout
    assert Separator("mine").stems == ("vocals", "accompaniment")


@pytest.mark.parametrize("extension", ["onnx", "safetensors"])
def test_export_and_load_again(run, toy_json, tmp_path, extension):
    path = tmp_path / f"exported.{extension}"
    assert run("models", "export", toy_json, path, "--to", extension).exit_code == 0
    again, first = Separator(str(path)), Separator(str(toy_json))
    assert again.spec.licence == first.spec.licence
    mixture = noise(20_000)
    for name, stem in first.separate(mixture, 44100).items():
        np.testing.assert_array_equal(again.separate(mixture, 44100)[name], stem)


@pytest.mark.parametrize("name", ["unweave:4stems", "unweave:5stems"])
def test_our_own_network_is_exported_as_it_runs(run, tmp_path, name):
    path = tmp_path / "own.onnx"
    assert run("models", "export", name, path).exit_code == 0
    again, first = Separator(str(path), device="cpu"), Separator(name, device="cpu")
    mixture = noise(20_000)
    expected = first.separate(mixture, 44100)
    assert again.stems == first.stems
    for stem, waveform in again.separate(mixture, 44100).items():
        np.testing.assert_array_equal(waveform, expected[stem])


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("unweave:4stems-cascade", "x.onnx", "runs spleeter:2stems-16kHz first"),
        ("unweave:5stems", "x.safetensors", "open5.safetensors already"),
    ],
)
def test_what_cannot_be_exported_says_why(run, tmp_path, name, file, message):
    result = run("models", "export", name, tmp_path / file, "--to", file.partition(".")[2])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / file).exists()


def test_export_to_another_extension(run, toy_json, tmp_path):
    result = run("models", "export", toy_json, tmp_path / "x.bin")
    assert result.exit_code == 2
    assert ".onnx" in result.stderr


def test_version(run):
    assert run("--version").stdout.startswith("unweave ")
