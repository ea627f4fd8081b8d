import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers.signals import noise
from unweave.cli.main import app
from unweave.separation.separator import Separator


@pytest.fixture
def run(cache):
    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


def test_list_and_info(run):
    listing = run("models", "list", "--all").stdout
    for name in ("spleeter:2stems", "spleeter:4stems-16kHz", "spleeter:5stems"):
        assert name in listing
    info = run("models", "info", "spleeter:5stems").stdout
    assert "vocals, piano, drums, bass, other" in info
    assert "softmax" in info


def test_the_key_to_a_mirror_is_not_shown(run, monkeypatch):
    monkeypatch.setenv("GITHUB_HOST", "https://band:secret@mirror")
    info = run("models", "info", "spleeter:5stems").stdout
    assert "https://mirror/deezer/spleeter/releases/download/v1.4.0/5stems.tar.gz" in info
    assert "secret" not in info


def listed(run, *options):
    return json.loads(run("models", "list", "--format", "json", *options).stdout)


def test_the_short_list_is_of_what_is_here_or_recommended(run):
    short, everything = listed(run), listed(run, "--all")
    assert 10 < len(short) < 30 < len(everything)
    assert all(model["recommended"] or model["here"] for model in short)
    assert {"spleeter:2stems", "htdemucs", "htdemucs_ft", "melband-kim"} <= {model["name"] for model in short}
    assert f"{len(everything) - len(short)} more: unweave models list --all" in run("models", "list").stdout


def test_the_list_for_a_stem(run):
    models = listed(run, "--stem", "Guitar")
    assert {"htdemucs_6s", "melband-becruily-guitar"} == {model["name"] for model in models}


def test_the_list_for_a_licence(run):
    free = listed(run, "--free")
    assert {model["licence"] for model in free} == {"MIT", "GPL-3.0", "CC-BY-SA-4.0"}
    assert not any(model["needs_consent"] for model in free)
    mit = [model for model in listed(run, "--all") if model["licence"] == "MIT"]
    assert listed(run, "--licence", "mit") == mit
    assert {model["licence"] for model in listed(run, "--licence", "cc-by-nc")} == {"CC-BY-NC-SA-4.0"}


def test_named_ensembles_are_in_the_list(run):
    everything = listed(run, "--all")
    (found,) = (model for model in everything if model["name"] == "vocal_balanced")
    assert found["family"] == "ensemble"
    assert found["rule"] == "avg_fft"
    assert found["stems"][0] == "vocals"
    assert found["summary"] == "vocals, the best on average"
    members = [model for model in everything if model["name"] in found["models"]]
    assert len(members) == len(found["models"]) == 2
    assert found["size_bytes"] == sum(model["size_bytes"] for model in members)
    assert found["needs_consent"] == any(model["needs_consent"] for model in members)
    assert not found["here"]
    assert found in listed(run, "--stem", "vocals")
    assert "vocal_balanced" not in {model["name"] for model in listed(run)}  # none of its models is here
    assert not {"drums"} & set(found["stems"])
    assert "vocal_balanced" in run("models", "list", "--all").stdout


def test_a_named_ensemble_stands_for_its_models(run):
    models = ["melband-karaoke-aufr33-viperx", "melband-gabox-karaoke2", "melband-becruily-karaoke"]
    info = run("models", "info", "karaoke")
    assert info.exit_code == 0
    assert [line.split()[1] for line in info.stdout.splitlines() if line.startswith("model")] == models
    assert "avg_wave" in info.stdout
    assert f"{models[0]} is not on this machine" in run("models", "path", "karaoke").stderr
    assert f"{models[0]} cannot be fetched by unweave" in run("models", "fetch", "karaoke", "--accept_licence").stderr
    refused = run("models", "fetch", "karaoke", "--from", "folder")
    assert (refused.exit_code, ", ".join(models) in refused.stderr) == (2, True)
    assert run("models", "export", "karaoke", "x.onnx").exit_code == 2


def test_the_list_loses_nothing_in_a_narrow_terminal(run, monkeypatch):
    """Figures mean nothing without the number of their test set."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("models", "list", "--all").stdout.splitlines()
    end = next(number for number, line in enumerate(lines) if line.startswith("[1]"))
    assert max(map(len, lines[:end])) == 80
    table = "\n".join(lines[:end])
    assert len(re.findall(r"\[\d+\]", table)) == len(re.findall(r"\d\.\d\d\b", table)) > 50


def test_the_list_in_order(run):
    names = [model["name"] for model in listed(run, "--all", "--sort", "name")]
    assert names == sorted(names, key=str.casefold)
    sizes = [model["size_bytes"] or 0 for model in listed(run, "--all", "--sort", "size")]
    assert sizes == sorted(sizes)


def test_scores_are_compared_within_a_test_set_only(run):
    shown = []
    for model in listed(run, "--stem", "vocals", "--sort", "score"):
        scores = [
            (score["test_set"], score["stems"]["vocals"]) for score in model["scores"] if "vocals" in score["stems"]
        ]
        shown.append(scores[0] if scores else None)
    with_score = [each for each in shown if each]
    assert shown == with_score + [None] * (len(shown) - len(with_score))
    assert with_score == sorted(with_score, key=lambda each: (each[0], -each[1]))
    assert len({test_set for test_set, _ in with_score}) > 3


def test_the_table_says_what_a_model_is(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    rows = {
        row.split()[0]: " ".join(row.split())
        for row in run("models", "list", "--all").stdout.splitlines()
        if row.split()
    }
    (multisong,) = (number for number, row in rows.items() if row.endswith("] multisong"))
    assert rows["melband-kim"] == f"melband-kim no vocals, other 913 MIT vocals 10.98 {multisong}"
    assert rows["htdemucs"].startswith("htdemucs * ")
    assert rows["htdemucs"].endswith(f"174 research mean 9.16 {multisong}")
    assert rows["bs-roformer-317"].startswith("bs-roformer-317 by hand vocals, instrumental 639 unknown vocals 10.87")
    assert "guitar 1" not in rows["htdemucs_6s"]


def test_the_table_fits_a_usual_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table = run("models", "list").stdout
    for word in ("accompaniment", "research", "unknown", "10.98 [", "17.25 ["):
        assert word in table


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
        ("unweave:4stems-cascade", "x.onnx", "runs spleeter:2stems first"),
        ("unweave:5stems", "x.safetensors", "open5.safetensors already"),
        ("melband-kim", "x.onnx", "only models of unweave and Spleeter are exported"),
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
