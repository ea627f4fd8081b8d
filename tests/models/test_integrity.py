"""A flipped byte in any file of weights is noticed at the next start, whatever the file's times say."""

import os
import shutil
import tarfile

import numpy as np
import pytest

from tests.helpers.signals import noise
from tests.helpers.toys import write_toy
from tests.models.test_hub import CONTENT, weights_from
from unweave import Separator
from unweave.errors import DownloadError, ModelError
from unweave.families.add import add_model
from unweave.families.unet.files import export_onnx, export_safetensors
from unweave.families.unet.path import load_unets
from unweave.models import hub
from unweave.models.added import GRAPH, WEIGHTS, added_model_folder
from unweave.models.catalogue.official import find_weights
from unweave.models.integrity import is_whole
from unweave.models.listing import list_models
from unweave.models.resolve import resolve
from unweave.models.spec import Source, WeightsFile
from unweave.models.spleeter_json import read_spleeter_json


def flip(path, position, bit=0):
    """Damage one bit and leave the file's times as they were."""
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(position, os.SEEK_END if position < 0 else os.SEEK_SET)
        place = file.tell()
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def package(tmp_path, monkeypatch, cache):
    """A copy of the weights that are in the package, in their place."""
    folder = tmp_path / "weights" / "open5"
    shutil.copytree(hub.home_of(find_weights("open5")), folder)
    monkeypatch.setattr(hub, "__file__", str(tmp_path / "hub.py"))
    return folder


@pytest.mark.parametrize("name", [file.name for file in find_weights("open5").files])
@pytest.mark.parametrize("position", [0, 1000, 2_000_000, -1])
def test_a_flipped_byte_in_the_package_does_not_play(package, name, position):
    resolve("unweave:5stems").locate(True, print)
    flip(package / name, position)
    for model in ("unweave:5stems", "unweave:4stems"):
        with pytest.raises(DownloadError, match="install unweave again"):
            Separator(model, device="cpu")
    listed = {model.name: model.is_here for model in list_models()}
    assert not listed["unweave:5stems"]
    assert not listed["unweave:4stems-cascade"]


@pytest.fixture
def fetched(tmp_path, monkeypatch, cache):
    """Weights fetched from an archive; returns their folder and the archive."""
    archive = tmp_path / "toy.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, raw in CONTENT.items():
            (tmp_path / name).write_bytes(raw)
            tar.add(tmp_path / name, name)
    monkeypatch.setattr(hub, "find_weights", lambda name: weights_from(Source("archive", str(archive))))
    return hub.ensure_weights("toy"), archive


@pytest.mark.parametrize("name", list(CONTENT))
@pytest.mark.parametrize("position", [0, 250, -1])
@pytest.mark.parametrize("is_learnt", [True, False])
def test_a_damaged_download_is_fetched_again(fetched, cache, name, position, is_learnt):
    folder, _ = fetched
    if is_learnt:
        hub.ensure_weights("toy")  # the second time the quick checksum is compared
        assert list((cache / "checksums").iterdir())
    flip(folder / name, position)
    assert hub.ensure_weights("toy") == folder
    assert {each: (folder / each).read_bytes() for each in CONTENT} == CONTENT


def test_a_damaged_download_that_cannot_be_fetched_again_is_one_line(fetched):
    folder, archive = fetched
    flip(folder / "model.index", 3)
    archive.unlink()
    with pytest.raises(DownloadError) as caught:
        hub.ensure_weights("toy")
    assert "\n" not in str(caught.value)


def test_a_damaged_or_false_note_of_a_checksum_does_no_harm(fetched, cache):
    folder, _ = fetched
    hub.ensure_weights("toy")
    for note in (cache / "checksums").iterdir():
        note.write_text("17")
    assert hub.is_present(hub.find_weights("toy"))
    flip(folder / "model.index", 3)
    assert not hub.is_present(hub.find_weights("toy"))


def test_the_checksums_of_the_catalogue_are_those_of_its_files(tmp_path):
    for name in ("open5",):
        weights = find_weights(name)
        for file in weights.files:
            assert file.crc32c is not None
            unknown = WeightsFile(file.name, file.sha256, file.size)
            assert is_whole(hub.home_of(weights) / file.name, unknown)
            assert is_whole(hub.home_of(weights) / file.name, file)


def test_a_model_of_the_users_own_in_place_of_official_weights_is_not_replaced(
    fetched, cache, tmp_path, monkeypatch, caplog
):
    """Fine-tuned weights have an index of the same size as the official one; they are the user's data."""
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    path = write_toy(tmp_path / "own")
    own = (path.parent / "weights").rename(tmp_path / "own" / "toy")
    index = (own / "model.index").read_bytes()
    official = weights_from(Source("archive", str(tmp_path / "toy.tar.gz")))
    files = tuple(
        WeightsFile(file.name, file.sha256, len(index) if file.name == "model.index" else file.size)
        for file in official.files
    )
    monkeypatch.setattr(hub, "find_weights", lambda name: type(official)("toy", files, official.sources))
    assert hub.ensure_weights("toy") == own
    assert (own / "model.index").read_bytes() == index
    assert caplog.text == ""
    # Where Spleeter keeps them by itself, nobody has said so; it counts under Spleeter's names alone.
    (tmp_path / "pretrained_models").mkdir()
    own = own.rename(tmp_path / "pretrained_models" / "toy")
    monkeypatch.delenv("MODEL_PATH")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "_honours_own_models", False)
    assert hub.home_of(hub.find_weights("toy")) == cache / "weights" / "toy"
    hub.honour_own_models()
    assert hub.ensure_weights("toy") == own
    assert f"using the model in {own}" in caplog.text
    monkeypatch.setattr(hub, "find_weights", lambda name: official)
    assert hub.ensure_weights("toy", origin=str(tmp_path / "toy.tar.gz")) != own
    assert (own / "model.index").read_bytes() == index
    # As training calls it.
    for file in ("index", "data-00000-of-00001"):
        (own / f"model.{file}").rename(own / f"model.ckpt-300.{file}")
    (own / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-300"\n')
    assert hub.ensure_weights("toy") == own


@pytest.fixture
def added(tmp_path, toy_json, cache):
    """A trained model and a checkpoint, added."""
    spec, _ = read_spleeter_json(toy_json)
    trained = tmp_path / "trained"
    trained.mkdir()
    unets = load_unets(spec, toy_json.parent / "weights")
    export_onnx(unets, spec, trained / GRAPH)
    export_safetensors(unets, spec, trained / WEIGHTS)
    add_model("trained", trained)
    add_model("checkpoint", toy_json.parent / "weights", toy_json)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("trained", GRAPH),
        ("trained", WEIGHTS),
        ("checkpoint", "model.index"),
        ("checkpoint", "model.data-00000-of-00001"),
    ],
)
def test_a_damaged_model_of_the_users_own_does_not_play_and_harms_no_other(added, name, file):
    Separator(name)
    flip(added_model_folder(name) / file, 700)
    with pytest.raises(ModelError, match="damaged: add it again"):
        Separator(name)
    listed = {model.name: model for model in list_models()}
    assert listed[name].spec is None
    assert "damaged" in listed[name].problem
    assert listed[({"trained", "checkpoint"} - {name}).pop()].is_here


@pytest.mark.parametrize("where", ["converted", "folded"])
def test_every_file_of_the_cache_is_made_again_where_it_is_damaged(toy_json, cache, where):
    name = str(toy_json) if where == "converted" else "unweave:4stems"
    mixture = noise(20_000)
    expected = Separator(name, device="cpu").separate(mixture, 44100)
    files = sorted(path for path in (cache / "graphs").rglob("*") if path.is_file())
    assert {path.name for path in files} >= {"network.onnx", "optimised.onnx", "seal.json"}
    for path in files:
        raw = path.read_bytes()
        for position in (0, len(raw) // 2, -1):
            flip(path, position, bit=3)
            again = Separator(name, device="cpu").separate(mixture, 44100)
            for stem in expected:
                np.testing.assert_array_equal(again[stem], expected[stem])


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])
def test_a_flipped_byte_in_an_exported_file_does_not_play(toy_json, tmp_path, kind, share):
    """Unless it is one of those that mean nothing: then the sound is the same."""
    spec, _ = read_spleeter_json(toy_json)
    path = tmp_path / f"x.{kind}"
    (export_onnx if kind == "onnx" else export_safetensors)(load_unets(spec, toy_json.parent / "weights"), spec, path)
    mixture = noise(5000)
    expected = Separator(str(path)).separate(mixture, 44100)
    flip(path, int(share * path.stat().st_size), bit=6)
    try:
        stems = Separator(str(path)).separate(mixture, 44100)
    except ModelError:
        return
    for name, stem in zip(expected, stems.values(), strict=True):
        np.testing.assert_array_equal(stem, expected[name])
