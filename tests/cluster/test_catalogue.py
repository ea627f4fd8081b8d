"""What a run does with the songs of a catalogue, whoever its workers are."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from tests.audio.test_files import read, write
from tests.helpers.catalogues import catalogue, memory_store, run_here, songs_of, work
from tests.helpers.signals import tones
from unweave import OptionError
from unweave.errors import AudioReadError, AudioWriteError

pytest.importorskip("ray")

from unweave.cluster.places import Place
from unweave.cluster.report import json_line
from unweave.cluster.run import Summary
from unweave.cluster.songs import Song, find_songs
from unweave.cluster.worker import Worker
from unweave.separation.output import OutputOptions

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


def counts(work, **options):
    summary, _ = run_here(work, **options)
    return summary.done, summary.skipped, summary.failed


def test_running_again_does_what_is_missing_and_reports_what_is_broken(toy_json, tmp_path):
    source = catalogue(tmp_path / "in", 3)
    (source / "broken.mp3").write_bytes(b"no audio")
    chosen = work(source, tmp_path / "out", toy_json)
    summary, results = run_here(chosen)
    assert (summary.done, summary.skipped, summary.failed, summary.found) == (3, 0, 1, 4)
    assert "broken.mp3" in results["broken.mp3"].error
    (tmp_path / "out" / "disc 1" / "001" / "vocals.wav").unlink()
    assert counts(chosen) == (1, 2, 1)
    assert counts(chosen, skip_existing=False) == (3, 0, 1)


def test_changed_songs_and_settings_are_done_again(toy_json, tmp_path):
    """A journal says what was done, not the names that are there; and it is the one of ``unweave separate``."""
    from unweave.cli.main import app

    source, out = catalogue(tmp_path / "in", 2), tmp_path / "out"
    for stem in ("vocals", "accompaniment"):
        (out / "disc 0" / "000").mkdir(parents=True, exist_ok=True)
        (out / "disc 0" / "000" / f"{stem}.wav").touch()
    chosen = work(source, out, toy_json)
    assert counts(chosen) == (2, 0, 0)
    write(source / "disc 1" / "001.wav", tones(9000))
    assert counts(chosen) == (1, 1, 0)
    better = dataclasses.replace(chosen, separator={"threads": 1, "quality": "best"})
    assert counts(better) == (2, 0, 0)
    arguments = ["separate", source, "-o", out, "-p", toy_json, "-r", "--skip_existing", "-q", "best"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.output.count("kept") == 4


def test_two_songs_of_one_name_and_stems_that_would_overwrite_songs(toy_json, tmp_path):
    source = tmp_path / "in"
    first, second = write(source / "song.flac", tones(9000)), write(source / "song.wav", tones(5000))
    summary, results = run_here(work(source, tmp_path / "out", toy_json))
    assert (summary.done, summary.skipped, summary.failed) == (1, 0, 1)
    assert str(second) in results["song.wav"].error
    assert str(first) in results["song.wav"].error
    assert read(tmp_path / "out" / "song" / "vocals.wav").shape == (2, 9000)

    other = write(source / "song_vocals.wav", tones(4000))
    before = other.read_bytes()
    chosen = dataclasses.replace(
        work(source, source, toy_json), output=OutputOptions(filename_format="{filename}_{stem}.{codec}")
    )
    _, results = run_here(chosen)
    assert other.read_bytes() == before
    failed = {name: result.error for name, result in results.items() if result.error}
    assert sorted(failed) == ["song.flac", "song.wav"]
    assert all("would overwrite the input" in error for error in failed.values())
    # And what was written here is no song of the next run.
    assert [song.name for song in songs_of(chosen)] == ["song.flac", "song.wav", "song_vocals.wav"]


def test_a_bug_is_one_line(toy_json, tmp_path, monkeypatch, caplog):
    source = catalogue(tmp_path / "in", 1)
    worker = Worker(work(source, tmp_path / "out", toy_json))
    for fault in (MemoryError(), ZeroDivisionError("division\nby zero"), OSError(5, "Input/output error")):

        def failing(*arguments, fault=fault, **options):
            raise fault

        monkeypatch.setattr(worker._separator, "separate_file", failing)
        result = worker.separate(Song("disc 0/000.wav"))
        assert type(fault).__name__ in result.error
        assert "disc 0/000.wav" in result.error
        assert "\n" not in result.error
    assert "Traceback" in caplog.text


def test_a_run_stops_after_too_many_failures(toy_json, tmp_path):
    for number in range(9):
        write(tmp_path / "in" / f"{number}.wav", tones(4000))
        (tmp_path / "in" / f"{number}.mp3").write_bytes(b"no audio")
    chosen = work(tmp_path / "in", tmp_path / "out", toy_json)
    # Of each pair the .wav cannot have the stems of the .mp3, which is broken: all fail, whoever finds it out.
    assert counts(chosen, max_failures=3) == (0, 0, 4)
    assert counts(chosen, max_failures=0) == (0, 0, 1)
    assert counts(chosen)[2] == 18


def test_a_line_for_each_file_and_the_cost_of_a_run(toy_json, tmp_path):
    source = catalogue(tmp_path / "in", 1)
    (source / "broken.mp3").write_bytes(b"no audio")
    _, results = run_here(work(source, tmp_path / "out", toy_json))
    done, failed = json.loads(json_line(results["disc 0/000.wav"])), json.loads(json_line(results["broken.mp3"]))
    assert done["status"] == "done"
    assert done["stems"]["vocals"] == "disc 0/000/vocals.wav"
    assert done["audio_seconds"] == pytest.approx(20_000 / 44100, abs=0.001)
    assert done["seconds"] > 0
    assert done["machine"]
    assert (failed["status"], failed["stems"]) == ("failed", {})
    assert "broken.mp3" in failed["error"]
    assert Summary(seconds=1500, start_seconds=300).cost(price_per_hour=4) == pytest.approx(2)


def test_a_store_that_is_not_this_machine(toy_json, tmp_path):
    store = memory_store()
    song = write(tmp_path / "song.wav", tones(20_000))
    for name in ("/in/a/song.wav", "/in/b.wav", "/in/b.mp3", "/in/stems/old/vocals.wav", "/in/notes.txt"):
        store.put_file(str(song), name)
    store.pipe_file("/in/app.ts", b"export const answer = 42;\n" * 50)
    chosen = work("memory://in", "memory://in/stems", toy_json)
    assert [song.name for song in songs_of(chosen)] == ["a/song.wav", "b.mp3", "b.wav"]
    assert [song.name for song in songs_of(chosen) if song.error] == ["b.wav"]
    assert "already taken by b.mp3" in songs_of(chosen)[2].error
    summary, results = run_here(chosen)
    assert (summary.done, summary.failed) == (2, 1)
    written = {name for result in results.values() for name in result.stems.values()}
    names = {name for name, _ in chosen.target.files() if not name.startswith("!unweave-journal-")}
    assert names == {*written, "old/vocals.wav"}
    store.get_file("/in/stems/a/song/vocals.wav", str(tmp_path / "back.wav"))
    assert read(tmp_path / "back.wav").shape == (2, 20_000)
    assert "cannot fetch" in Worker(chosen).separate(Song("c.wav")).error
    assert counts(chosen) == (0, 2, 1)
    store.pipe_file("/in/stems/a/song/vocals.wav", b"")
    store.put_file(str(write(tmp_path / "other.wav", tones(9000))), "/in/b.mp3")
    assert counts(chosen) == (2, 0, 1)
    assert counts(chosen) == (0, 2, 1)


@pytest.mark.parametrize("name", ["../x/song.wav", "/x/song.wav", "a//song.wav", "a/./song.wav", "a/../song.wav"])
def test_a_key_that_is_no_path_fails_and_nothing_leaves_the_target(tmp_path, monkeypatch, name):
    """In a bucket such names are keys as good as any; as paths they lead elsewhere, or to the stems of another song."""
    names = [(name, (1, 1)), ("z/song.wav", (1, 1))]
    monkeypatch.setattr(Place, "files", lambda self, **span: iter(() if span else names))
    for target in (Place("memory://out"), Place(str(tmp_path / "out"))):
        bad, good = find_songs(Place("memory://in"), target, ("vocals",), OutputOptions())
        assert (bad.name, bad.stems) == (name, {})
        assert bad.error.startswith(f"{name} was not separated: ")
        assert good.stems == {"vocals": "z/song/vocals.wav"}


def test_stems_in_the_store_of_the_songs(toy_json, tmp_path):
    store = memory_store()
    song = write(tmp_path / "song.wav", tones(9000))
    for name in ("/in/a/song.wav", "/in/song.wav", "/in/song_vocals.wav"):
        store.put_file(str(song), name)
    output = OutputOptions(filename_format="{filename}_{stem}.{codec}")
    chosen = dataclasses.replace(work("memory://in", "memory://in", toy_json), output=output)
    _, results = run_here(chosen)
    assert "would overwrite the input song_vocals.wav" in results["song.wav"].error
    assert not results["song_vocals.wav"].error
    names = ["a/song.wav", "song.wav", "song_vocals.wav"]
    assert [song.name for song in songs_of(chosen)] == names
    # Nor are stems taken for songs whose journal lies further down.
    run_here(work("memory://in/a", "memory://in/a/stems", toy_json))
    assert [song.name for song in songs_of(work("memory://in", "memory://out", toy_json))] == names


def test_a_journal_that_was_copied_to_a_store_counts(toy_json, tmp_path):
    store = memory_store()
    store.put_file(str(write(tmp_path / "song.wav", tones(9000))), "/in/song.wav")
    chosen = work("memory://in", "memory://out", toy_json)
    assert counts(chosen) == (1, 0, 0)
    [part] = [name for name, _ in chosen.target.files(prefix="!unweave-journal-")]
    store.pipe_file("/out/unweave-journal.jsonl", chosen.target.read(part))
    store.rm_file(f"/out/{part}")
    assert counts(chosen) == (0, 1, 0)


@pytest.mark.parametrize("old", [True, False])
def test_a_store_that_fails_midway_has_what_it_had(tmp_path, monkeypatch, old):
    store = memory_store()
    files = {}
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"new")
        files[tmp_path / name] = f"song/{name}.wav"
        if old:
            store.pipe_file(f"/out/song/{name}.wav", b"old")
    move = type(store).mv

    def failing(self, source, target, **options):
        if target.endswith("b.wav"):
            raise OSError(28, "No space left on device")
        return move(self, source, target, **options)

    place = Place("memory://out")
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "mv", failing)
        with pytest.raises(AudioWriteError, match="no space"):
            place.put(files)
    assert {name: place.read(name) for name, _ in place.files()} == (
        {"song/a.wav": b"old", "song/b.wav": b"old"} if old else {}
    )
    place.put(files)
    assert {name: place.read(name) for name, _ in place.files()} == {"song/a.wav": b"new", "song/b.wav": b"new"}


def test_what_cannot_be_used(tmp_path):
    def first(source, target):
        return next(find_songs(Place(str(source)), Place(str(target)), ("vocals",), OutputOptions()))

    for source, target in ((tmp_path, tmp_path / "out"), ("memory://nothing", "memory://out")):
        with pytest.raises(AudioReadError, match="no audio files"):
            first(source, target)
    with pytest.raises(AudioReadError, match="no folder"):
        first(tmp_path / "x", tmp_path / "out")
    with pytest.raises(OptionError, match="nowhere"):
        Place("nowhere://x/y").check()
