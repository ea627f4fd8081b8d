"""The network made of U-Nets in a checkpoint, made once and kept."""

import dataclasses

import pytest

from tests.helpers.bundles import write_bundle
from tests.helpers.toys import TOY, random_variables
from unweave.errors import CheckpointError, ModelError
from unweave.families.kept import _folder_name
from unweave.families.unet.path import network_path


@pytest.fixture
def folder(tmp_path, cache):
    write_bundle(tmp_path / "weights" / "model", random_variables(TOY))
    return tmp_path / "weights"


def test_is_converted_once(folder):
    path = network_path(TOY, folder)
    written = path.stat().st_mtime_ns
    assert network_path(TOY, folder) == path
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("weights", "folder_name"),
    [
        ("2stems", "2stems"),
        ("..a/b c\0", "a-b-c-"),
        ("ü.x_1-", "-.x_1-"),
        ("", "model"),
        ("..", "model"),
        ("x" * 99, "x" * 64),
    ],
)
def test_a_name_of_weights_as_a_part_of_a_folders(weights, folder_name):
    assert _folder_name(dataclasses.replace(TOY, weights=weights)) == folder_name


def test_other_weights_are_another_file(folder):
    first = network_path(TOY, folder)
    write_bundle(folder / "model", random_variables(TOY, seed=1))
    assert network_path(TOY, folder) != first


@pytest.mark.parametrize("damage", [lambda raw: raw[:-100], lambda raw: raw[:500] + b"\0" + raw[501:], lambda raw: b""])
def test_a_damaged_file_in_the_cache_is_made_again(folder, damage):
    path = network_path(TOY, folder)
    raw = path.read_bytes()
    path.write_bytes(damage(raw))
    assert network_path(TOY, folder).read_bytes() == raw


def test_damaged_weights_leave_nothing_in_the_cache(folder, cache):
    data = folder / "model.data-00000-of-00001"
    raw = bytearray(data.read_bytes())
    raw[50] ^= 0xFF
    data.write_bytes(raw)
    with pytest.raises(CheckpointError, match="checksum"):
        network_path(TOY, folder)
    assert not list(cache.rglob("*.onnx"))


def test_a_cache_that_is_a_file_is_an_error(folder, cache):
    cache.write_text("in the way")
    with pytest.raises(ModelError, match="cannot save"):
        network_path(TOY, folder)
