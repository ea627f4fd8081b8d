import os
import shutil
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from tests.helpers.toys import TOY, edit_json, write_toy
from unweave import Separator
from unweave.errors import CheckpointError, ModelError
from unweave.families.add import _configuration, add_model
from unweave.models.added import added_names
from unweave.models.catalogue.official import specs
from unweave.models.resolve import resolve


@pytest.fixture
def brought(tmp_path, cache):
    """A folder with a checkpoint and its JSON, as training with the original leaves it."""
    path = write_toy(tmp_path / "brought_parent") if (tmp_path / "brought_parent").mkdir() is None else None
    folder = tmp_path / "brought"
    shutil.move(tmp_path / "brought_parent" / "weights", folder)
    shutil.move(path, folder / "config.json")
    edit_json(folder / "config.json", model_dir="gone")
    return folder


def packed(folder, kind):
    path = folder.parent / f"model.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"../../{file.name}")
    else:
        with tarfile.open(path, "w:gz") as archive:
            for file in folder.iterdir():
                archive.add(file, f"deep/{file.name}")
    return path


@pytest.mark.parametrize("kind", ["folder", "tar.gz", "zip"])
def test_added_and_used(brought, kind):
    origin = brought if kind == "folder" else packed(brought, kind)
    spec = add_model("mine", origin)
    assert spec.stems == TOY.stems
    shutil.rmtree(brought)
    assert added_names() == ["mine"]
    assert (resolve("mine").spec.name, resolve("mine").spec.weights) == ("mine", "mine")
    assert Separator("mine").stems == TOY.stems


def test_the_network_that_verified_it_is_the_one_that_runs(brought, cache):
    add_model("mine", brought)
    (network,) = (cache / "graphs").iterdir()
    written = (network / "network.onnx").stat().st_mtime_ns
    Separator("mine", device="cpu")
    others = [folder.name for folder in (cache / "graphs").iterdir() if folder != network]
    assert len(others) == 1
    assert others[0].startswith(f"{network.name}-")  # as ONNX Runtime optimises it
    assert (network / "network.onnx").stat().st_mtime_ns == written


def test_what_killed_processes_left_goes_after_a_day(brought, cache):
    left = [cache / "added" / f".filling-{name}" for name in ("long_ago", "in_use")]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "arrays").write_bytes(b"x")
    for path in (left[0], left[0] / "arrays", left[1]):
        os.utime(path, (time.time() - 90_000,) * 2)
    add_model("mine", brought)
    assert sorted(path.name for path in (cache / "added").iterdir()) == [".filling-in_use", "mine"]


@pytest.mark.parametrize(
    "name", ["2stems", "5Stems", "Melband-Kim", "spleeter:2stems", "melband-kim", "../up", "", "a b"]
)
def test_unusable_names(brought, name):
    with pytest.raises(ModelError, match="name"):
        add_model(name, brought)


def test_names_that_differ_in_capitals_alone(brought):
    """On most disks of Windows and macOS the second would take the place of the first."""
    add_model("Mine", brought)
    with pytest.raises(ModelError, match="names 'mine' and 'Mine' are one folder"):
        add_model("mine", brought)
    add_model("Mine", brought)
    assert added_names() == ["Mine"]


def test_a_damaged_checkpoint_is_not_kept(brought):
    data = brought / "model.data-00000-of-00001"
    raw = bytearray(data.read_bytes())
    raw[0] ^= 1
    data.write_bytes(raw)
    with pytest.raises(CheckpointError, match="checksum"):
        add_model("mine", brought)
    assert added_names() == []


def test_without_a_configuration(brought):
    (brought / "config.json").unlink()
    with pytest.raises(ModelError, match="--config"):
        add_model("mine", brought)


@pytest.mark.parametrize("origin", ["4stems", "4stems.tar.gz", "4stems.v1.zip"])
def test_an_archive_of_the_original_needs_no_configuration(tmp_path, origin):
    assert _configuration(tmp_path, tmp_path / origin, None) == specs()["spleeter:4stems"]
    with pytest.raises(ModelError, match="--config"):
        _configuration(tmp_path, tmp_path / f"my-{origin}", None)


def test_without_a_checkpoint(tmp_path, cache):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="nor a TensorFlow checkpoint"):
        add_model("mine", tmp_path / "empty")
    (tmp_path / "text.tar.gz").write_text("not an archive")
    with pytest.raises(ModelError, match=r"cannot be used as a folder.*it is not an archive"):
        add_model("mine", tmp_path / "text.tar.gz")


def test_the_old_model_stays_where_the_new_one_cannot_take_its_place(brought, monkeypatch):
    add_model("mine", brought)
    rename = Path.rename

    def failing(self, target):
        if self.name == "folder":
            raise OSError(28, "no space left on device")
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr("unweave.models.files._exchanged", lambda one, other: False)  # not on every system
        patched.setattr(Path, "rename", failing)
        with pytest.raises(ModelError, match="no space"):
            add_model("mine", brought)
    assert Separator("mine").stems == TOY.stems


def test_added_again(brought):
    add_model("mine", brought)
    add_model("mine", brought)
    assert added_names() == ["mine"]
    assert Separator("mine").stems == TOY.stems
