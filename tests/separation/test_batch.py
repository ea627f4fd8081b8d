import os
from pathlib import Path

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import noise
from unweave.errors import AudioReadError, AudioWriteError, OptionError
from unweave.separation.batch import BatchOptions, find_tasks, separate_files
from unweave.separation.journal import Journal
from unweave.separation.outcome import Task
from unweave.separation.output import OutputOptions


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
    out = tmp_path / "out"
    tasks = find_tasks([album], out)
    options = BatchOptions(skip_existing=True)
    separate_files(toy, tasks, options, journal=Journal(out, "settings"))
    (out / "two" / "vocals.wav").unlink()
    outcomes = separate_files(toy, tasks, options, journal=Journal(out, "settings"))
    assert {outcome.source.name: outcome.status for outcome in outcomes} == {"one.wav": "skipped", "two.flac": "done"}


def test_skipping_needs_a_journal(toy, album, tmp_path):
    with pytest.raises(OptionError, match="needs a journal"):
        separate_files(toy, find_tasks([album], tmp_path / "out"), BatchOptions(skip_existing=True))


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


def test_a_stem_never_overwrites_another_input(toy, tmp_path):
    song, other = write(tmp_path / "song.wav", noise(5000)), write(tmp_path / "song_vocals.wav", noise(4000))
    before = other.read_bytes()
    options = BatchOptions(OutputOptions(filename_format="{filename}_{instrument}.{codec}"))
    outcomes = separate_files(toy, find_tasks([song, other], tmp_path), options)
    assert [(outcome.source, outcome.status) for outcome in outcomes] == [(song, "failed"), (other, "done")]
    assert "would overwrite the input" in str(outcomes[0].error)
    assert str(song) in str(outcomes[0].error)
    assert str(other) in str(outcomes[0].error)
    assert other.read_bytes() == before


@pytest.mark.parametrize("kind", ["hard", "symbolic", "of the folder"])
def test_an_input_is_known_by_any_of_its_names(toy, tmp_path, kind):
    song, other = write(tmp_path / "in" / "song.wav", noise(5000)), write(tmp_path / "in" / "other.wav", noise(4000))
    out = tmp_path / "out"
    if kind == "of the folder":
        os.symlink(tmp_path / "in", out)
        template = "other.{codec}"
    else:
        out.mkdir()
        (os.link if kind == "hard" else os.symlink)(other, out / "vocals.wav")
        template = "{instrument}.{codec}"
    options = BatchOptions(OutputOptions(filename_format=template), stems=("vocals",))
    outcomes = separate_files(toy, [Task(song, out), Task(other, tmp_path / "elsewhere")], options)
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert "would overwrite the input" in str(outcomes[0].error)


@pytest.mark.parametrize("name", ["SONG.flac", "Song.flac"])
def test_names_that_are_one_where_case_does_not_count(toy, tmp_path, monkeypatch, name):
    tasks = find_tasks([write(tmp_path / "song.wav", noise(5000)), write(tmp_path / name, noise(5000))], tmp_path / "o")
    with monkeypatch.context() as patch:
        patch.setattr("unweave.separation.plan.are_one_name", lambda one, other: True)
        outcomes = separate_files(toy, tasks, BatchOptions())
        assert sorted(outcome.status for outcome in outcomes) == ["done", "failed"]
    assert [outcome.status for outcome in separate_files(toy, tasks, BatchOptions())] == ["done", "done"]
    assert sorted(os.listdir(tmp_path / "o")) == sorted(["song", Path(name).stem])  # nothing is left of the trial


def test_two_inputs_of_one_name_are_both_named(toy, album, tmp_path):
    write(album / "one.flac", noise(5000))
    outcomes = separate_files(toy, find_tasks([album], tmp_path / "out"), BatchOptions())
    (failed,) = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert f"{album / 'one.wav'} was not separated" in str(failed.error)
    assert f"taken by {album / 'one.flac'}" in str(failed.error)


def test_one_file_by_several_paths_is_done_once(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(Path("a.wav"), noise(5000))
    (tmp_path / "b").mkdir()
    os.symlink(tmp_path, tmp_path / "here")
    sources = [path, Path("b/../a.wav"), Path("./a.wav"), tmp_path / "a.wav", Path("here/a.wav")]
    outcomes = separate_files(toy, find_tasks(sources, Path("out")), BatchOptions())
    assert [(outcome.source, outcome.status) for outcome in outcomes] == [(path, "done")]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("a bug"), OSError(5, "Input/output error")])
def test_whatever_is_raised_is_that_files_fault(toy, album, tmp_path, monkeypatch, caplog, jobs, fault):
    separate_file = toy.separate_file

    def sometimes(source, *arguments, **options):
        if source.name == "one.wav":
            raise fault
        return separate_file(source, *arguments, **options)

    monkeypatch.setattr(toy, "separate_file", sometimes)
    outcomes = separate_files(toy, find_tasks([album], tmp_path / "out"), BatchOptions(jobs=jobs))
    status = {outcome.source.name: outcome for outcome in outcomes}
    assert {name: outcome.status for name, outcome in status.items()} == {"one.wav": "failed", "two.flac": "done"}
    assert "one.wav" in str(status["one.wav"].error)
    assert type(fault).__name__ in str(status["one.wav"].error)
    assert any(record.exc_info and record.exc_info[1] is fault for record in caplog.records)


@pytest.mark.parametrize("fault", [MemoryError(), PermissionError(13, "Permission denied"), KeyError("a bug")])
def test_whatever_is_raised_while_planning_is_that_files_fault(toy, album, tmp_path, monkeypatch, fault):
    from unweave.separation import plan

    stem_paths = plan.stem_paths

    def sometimes(source, *arguments):
        if source.name == "one.wav":
            raise fault
        return stem_paths(source, *arguments)

    monkeypatch.setattr(plan, "stem_paths", sometimes)
    outcomes = separate_files(toy, find_tasks([album], tmp_path / "out"), BatchOptions())
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]


def test_a_name_that_is_too_long_is_one_files_outcome(toy, tmp_path):
    long, good = write(tmp_path / ("x" * 245 + ".wav"), noise(3000)), write(tmp_path / "good.wav", noise(3000))
    options = BatchOptions(OutputOptions(filename_format="{filename}_{instrument}.{codec}"))
    outcomes = separate_files(toy, find_tasks([long, good], tmp_path / "out"), options)
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert "too long" in str(outcomes[0].error)
    assert isinstance(outcomes[0].error, AudioWriteError)


@pytest.mark.parametrize(
    "options",
    [
        {"offset_seconds": float("nan")},
        {"offset_seconds": float("inf")},
        {"offset_seconds": -1.0},
        {"duration_seconds": float("nan")},
        {"duration_seconds": float("inf")},
        {"duration_seconds": 0.0},
        {"duration_seconds": -1.0},
        {"track": -1},
        {"jobs": 0},
    ],
)
def test_numbers_that_make_no_sense(options):
    with pytest.raises(OptionError, match="expected"):
        BatchOptions(**options)


def test_the_audio_track_reaches_the_separator(album, tmp_path):
    class Recorder:
        def __init__(self):
            self.given = []

        def stem_names(self, stems):
            return ("vocals",)

        def separate_file(self, source, folder, output, **options):
            self.given.append(options.get("track", "default"))
            return {}

    for track, expected in ((None, "default"), (2, 2)):
        recorder = Recorder()
        (outcome,) = separate_files(recorder, [Task(album / "one.wav", tmp_path)], BatchOptions(track=track))
        assert outcome.status == "done"
        assert recorder.given == [expected]
