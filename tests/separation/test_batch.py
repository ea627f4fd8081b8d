from pathlib import Path

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import noise
from unweave.errors import AudioReadError, OptionError
from unweave.separation.batch import BatchOptions, find_tasks, separate_files
from unweave.separation.outcome import Task


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    for name in ("one.wav", "two.flac", "disc 2/three.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, noise(5000))
    (folder / "notes.txt").write_text("not music")
    (folder / ".hidden.wav").write_text("not shown")
    return folder


def sources(tasks):
    return [task.source.name for task in tasks]


def test_files_and_folders_are_found(album):
    assert sources(find_tasks([album], Path("out"))) == ["one.wav", "two.flac"]
    tasks = find_tasks([album], Path("out"), recursive=True)
    assert sorted(sources(tasks)) == ["one.wav", "three.wav", "two.flac"]
    assert {task.folder for task in tasks} == {Path("out"), Path("out/disc 2")}
    assert sources(find_tasks([album / "notes.txt"], Path("out"))) == ["notes.txt"]


def test_a_folder_without_audio(tmp_path):
    with pytest.raises(AudioReadError, match="no audio files"):
        find_tasks([tmp_path], Path("out"))


@pytest.mark.parametrize("jobs", [1, 3])
def test_one_bad_file_does_not_stop_the_rest(toy, album, tmp_path, jobs):
    (album / "broken.mp3").write_text("this is no mp3")
    outcomes = separate_files(toy, find_tasks([album], tmp_path / "out"), BatchOptions(jobs=jobs))
    status = {outcome.source.name: outcome.status for outcome in outcomes}
    assert status == {"one.wav": "done", "two.flac": "done", "broken.mp3": "failed"}
    assert (tmp_path / "out" / "one" / "vocals.wav").is_file()
    assert not (tmp_path / "out" / "broken").exists() or not list((tmp_path / "out" / "broken").iterdir())


def test_skip_existing(toy, album, tmp_path):
    tasks = find_tasks([album], tmp_path / "out")
    options = BatchOptions(skip_existing=True)
    separate_files(toy, tasks, options)
    (tmp_path / "out" / "two" / "vocals.wav").unlink()
    again = {outcome.source.name: outcome.status for outcome in separate_files(toy, tasks, options)}
    assert again == {"one.wav": "skipped", "two.flac": "done"}


def test_two_files_on_one_path(toy, album, tmp_path):
    write(album / "one.flac", noise(5000))
    outcomes = separate_files(toy, find_tasks([album], tmp_path / "out"), BatchOptions())
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert len(failed) == 1
    assert isinstance(failed[0].error, OptionError)
    assert "already taken" in str(failed[0].error)


def test_an_interrupt_stops_the_jobs(toy, album, tmp_path):
    def interrupt(outcome):
        raise KeyboardInterrupt

    tasks = [Task(album / "one.wav", tmp_path / f"out{number}") for number in range(20)]
    with pytest.raises(KeyboardInterrupt):
        separate_files(toy, tasks, BatchOptions(), on_outcome=interrupt)
    done = list(tmp_path.glob("out*/one/vocals.wav"))
    assert 1 <= len(done) < 20
    assert not list(tmp_path.rglob("*.part"))
