"""Which file a path leads to, and which names could be one file."""

import os
from pathlib import Path

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import noise
from unweave.errors import AudioWriteError
from unweave.separation import identity as names
from unweave.separation.identity import are_one_name, check_target, identity, key_of, nearest_folder
from unweave.separation.search import find_tasks


def test_a_file_is_known_by_every_one_of_its_names(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("x")
    os.link(tmp_path / "a", tmp_path / "hard")
    (tmp_path / "soft.wav").symlink_to("a")
    one = identity(tmp_path / "a")
    assert one == identity(tmp_path / "hard") == identity(tmp_path / "soft.wav") == identity(tmp_path / "." / "a")
    assert one != identity(tmp_path / "b")
    assert identity(tmp_path / "none") is None
    assert identity(tmp_path / "a" / "below a file") is None
    assert identity(tmp_path / "a\0b") is None


def without_numbers(monkeypatch):
    """From now on as on a drive that numbers no files."""
    stat = Path.stat

    def unnumbered(path, **options):
        known = stat(path, **options)
        return os.stat_result((known.st_mode, 0, 0, *known[3:10]))

    monkeypatch.setattr(Path, "stat", unnumbered)


def test_files_without_numbers_are_known_by_their_names(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "song.wav", tmp_path / "folder" / "song.wav"):
        write(path, noise(100))
    (tmp_path / "soft.wav").symlink_to("song.wav")
    without_numbers(monkeypatch)
    one = identity(tmp_path / "song.wav")
    assert one is not None
    assert one == identity(tmp_path / "soft.wav") == identity(tmp_path / "folder" / ".." / "song.wav")
    assert one != identity(tmp_path / "folder" / "song.wav")
    assert identity(tmp_path / "none") is None
    found = find_tasks([tmp_path], tmp_path / "out", recursive=True)
    assert {task.source.relative_to(tmp_path).as_posix() for task in found} == {
        "soft.wav",
        "song.wav",
        "folder/song.wav",
    }


def test_the_longest_names_that_fit(tmp_path):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    check_target(tmp_path / "folder to be" / ("x" * longest))
    check_target(tmp_path / ("ä" * (longest // 2)))  # two bytes each
    for name in ("x" * (longest + 1), "ä" * (longest // 2 + 1), "a\0b"):
        with pytest.raises(AudioWriteError, match="cannot write"):
            check_target(tmp_path / name)
        with pytest.raises(AudioWriteError, match="cannot write"):
            check_target(tmp_path / "folder to be" / name / "x.wav")


def test_names_are_as_long_in_every_script_on_windows_and_macos(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "COUNTS_LETTERS", True)
    check_target(tmp_path / "folder to be" / ("울" * 251 + ".wav"))
    with pytest.raises(AudioWriteError, match="its name is too long"):
        check_target(tmp_path / "folder to be" / ("울" * 252 + ".wav"))


def test_a_system_that_does_not_say_how_long_names_may_be(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pathconf")
    check_target(tmp_path / "folder to be" / ("x" * 255))
    with pytest.raises(AudioWriteError, match="too long"):
        check_target(tmp_path / "folder to be" / ("x" * 256))


def test_the_nearest_folder_that_exists(tmp_path):
    (tmp_path / "file").write_text("x")
    assert nearest_folder(tmp_path / "a" / "b" / "c") == tmp_path
    assert nearest_folder(tmp_path / "a") == tmp_path
    assert nearest_folder(tmp_path / "file" / "a") == tmp_path


def test_a_key_has_no_detours_and_need_not_exist(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert key_of(tmp_path / "link" / ".." / "link" / "x") == os.path.join(os.path.realpath(tmp_path), "real", "x")


def test_names_are_tried_out_where_they_would_be(tmp_path):
    (tmp_path / "probe").touch()
    folds = (tmp_path / "PROBE").exists()
    assert are_one_name(tmp_path / "song" / "a.wav", tmp_path / "SONG" / "a.wav") == folds
    assert are_one_name(tmp_path / "song" / "a.wav", tmp_path / "song" / "A.wav") == folds
    assert not are_one_name(tmp_path / "song" / "a.wav", tmp_path / "song" / "b.wav")
    assert are_one_name(tmp_path / "song" / "a.wav", tmp_path / "song" / "a.wav")
    assert sorted(os.listdir(tmp_path)) == ["probe"]


def test_where_nothing_can_be_tried_out_names_count_as_one(tmp_path, monkeypatch):
    def closed(*arguments, **options):
        raise PermissionError(13, "closed")

    monkeypatch.setattr(names.tempfile, "TemporaryDirectory", closed)
    assert are_one_name(tmp_path / "a.wav", tmp_path / "b.wav")
