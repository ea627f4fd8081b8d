"""Folders of the cache: how they get their names, and which ones stay."""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers.windows import open_elsewhere, windows_rules
from unweave.models import files
from unweave.models.files import SEAL, UNUSED_DAYS, is_sealed, replace_folder, sealed_folder

DAY = 24 * 3600


def fill(folder):
    (folder / "network.onnx").write_bytes(b"network")


def last_used(path, days):
    os.utime(path, (time.time() - days * DAY,) * 2)


@pytest.fixture
def graphs(tmp_path):
    for name in ("old", "read", "recent"):
        sealed_folder(tmp_path / name, fill)
    for name, days in [("old", UNUSED_DAYS + 1), ("read", UNUSED_DAYS + 1), ("recent", UNUSED_DAYS - 1)]:
        last_used(tmp_path / name / SEAL, days)
    (tmp_path / ".filling-x" / "folder").mkdir(parents=True)  # of a process that was killed
    for path in (tmp_path / ".filling-x" / "folder", tmp_path / ".filling-x"):
        last_used(path, 2)
    (tmp_path / "not ours").mkdir()
    last_used(tmp_path / "not ours", UNUSED_DAYS + 1)
    return tmp_path


def test_a_new_folder_removes_those_that_nobody_has_used_for_long(graphs):
    sealed_folder(graphs / "read", fill)
    sealed_folder(graphs / "new", fill)
    assert sorted(path.name for path in graphs.iterdir()) == ["new", "not ours", "read", "recent"]
    assert all(is_sealed(graphs / name) for name in ("new", "read", "recent"))


def test_a_folder_that_is_only_read_counts_as_used(graphs):
    """Those who may not write a shared cache cannot set its times; the file system notes that they read."""
    os.utime(graphs / "old" / SEAL, (time.time(), time.time() - (UNUSED_DAYS + 1) * DAY))
    sealed_folder(graphs / "new", fill)
    assert is_sealed(graphs / "old")


def test_what_cannot_be_made_again_stays(graphs):
    sealed_folder(graphs / "new", fill, keeps_unused=True)
    assert is_sealed(graphs / "old")


def test_nothing_is_removed_while_nothing_is_added(graphs):
    sealed_folder(graphs / "read", fill)
    assert is_sealed(graphs / "old")


def made(path, text):
    path.mkdir(parents=True)
    (path / "file").write_text(text)
    return path


def test_a_folder_is_replaced(tmp_path):
    target = made(tmp_path / "model", "old")
    replace_folder(made(tmp_path / "staging" / "new", "new"), target)
    assert (target / "file").read_text() == "new"
    assert not any((tmp_path / "staging").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges names in one step")
def test_there_is_a_folder_at_every_moment_while_it_is_replaced(tmp_path, monkeypatch):
    target = made(tmp_path / "model", "old")
    made(tmp_path / "staging" / "new", "new")
    monkeypatch.setattr(Path, "rename", None)  # which takes the old folder away before the new one is there
    replace_folder(tmp_path / "staging" / "new", target)
    assert (target / "file").read_text() == "new"
    assert not any((tmp_path / "staging").iterdir())


@pytest.fixture
def no_exchange(monkeypatch):
    """As on other systems, and on file systems that cannot do it."""
    monkeypatch.setattr(files, "_exchanged", lambda one, other: False)


def test_where_names_cannot_be_exchanged(tmp_path, no_exchange):
    test_a_folder_is_replaced(tmp_path)


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.usefixtures("no_exchange")
def test_of_two_processes_at_once_the_last_one_wins(tmp_path, monkeypatch, is_there):
    target = tmp_path / "model"
    if is_there:
        made(target, "old")
    staged = made(tmp_path / "staging" / "mine", "mine")
    rename, others = Path.rename, iter(["of another process"])

    def interrupted(path, to):
        """Another process puts its folder there just before ours is renamed."""
        if path == staged:
            for text in others:
                made(target, text)
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    replace_folder(staged, target)
    assert (target / "file").read_text() == "mine"
    assert not any((tmp_path / "staging").iterdir())


@pytest.mark.usefixtures("no_exchange")
def test_an_old_folder_comes_back_however_long_a_scanner_looks_into_it(tmp_path, monkeypatch):
    rename, refusals = Path.rename, iter([False, True, True, False])

    def refusing(path, to):
        if path.name == "new":
            raise OSError(5, "Input/output error")
        if next(refusals):
            raise open_elsewhere(path)
        return rename(path, to)

    target, staged = made(tmp_path / "model", "old"), made(tmp_path / "staging" / "new", "new")
    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(OSError, match="Input/output"):
        replace_folder(staged, target)
    assert (target / "file").read_text() == "old"


@pytest.mark.parametrize("n_times", [1, 2, 3])
@pytest.mark.usefixtures("no_exchange")
def test_folders_that_a_scanner_looks_into_for_a_moment(tmp_path, monkeypatch, n_times):
    """Windows renames no folder while a file in it is open."""
    rename, n_left = Path.rename, [n_times]

    def refusing(path, to):
        if n_left[0]:
            n_left[0] -= 1
            raise open_elsewhere(path)
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refusing)
    target = made(tmp_path / "model", "old")
    replace_folder(made(tmp_path / "staging" / "new", "new"), target)
    assert (target / "file").read_text() == "new"
    n_left[0] = n_times
    assert sealed_folder(tmp_path / "graph", lambda staged: (staged / "x").write_text("made")) == tmp_path / "graph"
    assert (tmp_path / "graph" / "x").read_text() == "made"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph", "model", "staging"]


def test_a_fault_is_told_while_what_it_is_about_is_open(tmp_path):
    """Windows removes nothing that is open, as what an exception holds may be."""

    def fill(staged):
        stack.enter_context((staged / "network.onnx").open("wb"))
        raise ValueError("the network is wrong")

    with ExitStack() as stack, windows_rules(), pytest.raises(ValueError, match="the network is wrong"):
        sealed_folder(tmp_path / "graph", fill)
    assert not (tmp_path / "graph").exists()


def test_a_folder_that_cannot_be_replaced_stays(tmp_path):
    target = made(tmp_path / "model", "old")
    (tmp_path / "staging").mkdir()
    with pytest.raises(OSError, match="missing"):
        replace_folder(tmp_path / "staging" / "missing", target)
    assert (target / "file").read_text() == "old"
