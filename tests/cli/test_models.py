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


def test_export_to_another_extension(run, toy_json, tmp_path):
    result = run("models", "export", toy_json, tmp_path / "x.bin")
    assert result.exit_code == 2
    assert ".onnx" in result.stderr


def test_version(run):
    assert run("--version").stdout.startswith("unweave ")
