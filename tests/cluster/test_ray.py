"""A catalogue on a Ray of one machine: complete, whole, and once, whatever dies."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from typer.testing import CliRunner

from tests.audio.test_files import read, write
from tests.helpers.signals import tones
from unweave import OptionError
from unweave.errors import AudioReadError, AudioWriteError, UnweaveError

pytest.importorskip("ray")

from unweave.cluster.journal import CatalogueJournal
from unweave.cluster.places import Place
from unweave.cluster.run import _one_line, run_on_ray
from unweave.cluster.songs import find_songs
from unweave.cluster.worker import Work, Worker
from unweave.separation.journal import FILE
from unweave.separation.output import OutputOptions

pytestmark = [
    pytest.mark.filterwarnings("default"),  # Ray's own
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
    pytest.mark.xdist_group("ray"),
]

N_FILES = 80


def catalogue(folder, n_files, n_samples=20_000):
    for number in range(n_files):
        write(folder / f"disc {number % 7}" / f"{number:03}.wav", tones(n_samples)[:, : n_samples - number])
    return folder


def work(source, target, toy_json):
    return Work(Place(str(source)), Place(str(target)), str(toy_json), OutputOptions(), None, {"threads": 1})


RAY = """
import sys, ray
print(ray.init(address="local", num_cpus=2, include_dashboard=False).address_info["address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where a Ray runs that most tests share: starting one takes seconds."""
    cache = str(tmp_path_factory.mktemp("cache"))
    environment = {**os.environ, "UNWEAVE_CACHE": cache, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", RAY], **pipes, text=True, env=environment) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


def test_eighty_files_and_three_killed_workers(toy_json, tmp_path):
    source = catalogue(tmp_path / "in", N_FILES)
    seen, killed = [], []

    def kill_later(n_files, actors):
        import ray

        def kill():
            while len(killed) < 3:
                if len(seen) >= N_FILES // 5 * (len(killed) + 1):
                    process = ray.get(actors[len(killed) % 2].process_number.remote())
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
                time.sleep(0.01)

        threading.Thread(target=kill, daemon=True).start()

    summary = run_on_ray(
        work(source, tmp_path / "out", toy_json), workers=2, on_result=seen.append, on_start=kill_later
    )
    assert len(set(killed)) == 3
    assert (summary.done, summary.skipped, summary.failed) == (N_FILES, 0, [])
    assert len({result.name for result in seen}) == len(seen) == N_FILES
    for number in range(N_FILES):
        for stem in ("vocals", "accompaniment"):
            path = tmp_path / "out" / f"disc {number % 7}" / f"{number:03}" / f"{stem}.wav"
            assert read(path).shape == (2, 20_000 - number)
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 2 * N_FILES + 1
    assert len((tmp_path / "out" / FILE).read_text().splitlines()) == N_FILES


def test_running_again_does_what_is_missing_and_reports_what_is_broken(toy_json, tmp_path, address):
    source = catalogue(tmp_path / "in", 3)
    (source / "broken.mp3").write_bytes(b"no audio")
    chosen = work(source, tmp_path / "out", toy_json)
    summary = run_on_ray(chosen, address=address, workers=1)
    assert (summary.done, len(summary.failed)) == (3, 1)
    assert "broken.mp3" in summary.failed[0].name
    (tmp_path / "out" / "disc 1" / "001" / "vocals.wav").unlink()
    again = run_on_ray(chosen, address=address, workers=1)
    assert (again.done, again.skipped, len(again.failed)) == (1, 2, 1)


def test_changed_songs_and_settings_are_done_again(toy_json, tmp_path, address):
    """A journal says what was done, not the names that are there; and it is the one of ``unweave separate``."""
    from unweave.cli.main import app

    source, out = catalogue(tmp_path / "in", 2), tmp_path / "out"
    for stem in ("vocals", "accompaniment"):
        (out / "disc 0" / "000").mkdir(parents=True, exist_ok=True)
        (out / "disc 0" / "000" / f"{stem}.wav").touch()
    chosen = work(source, out, toy_json)

    def counts(work):
        summary = run_on_ray(work, address=address, workers=1)
        return summary.done, summary.skipped, len(summary.failed)

    assert counts(chosen) == (2, 0, 0)
    write(source / "disc 1" / "001.wav", tones(9000))
    assert counts(chosen) == (1, 1, 0)
    better = dataclasses.replace(chosen, separator={"threads": 1, "quality": "best"})
    assert counts(better) == (2, 0, 0)
    arguments = ["separate", source, "-o", out, "-p", toy_json, "-r", "--skip_existing", "-q", "best"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.output.count("kept") == 4


def test_two_songs_of_one_name_and_stems_that_would_overwrite_songs(toy_json, tmp_path, address):
    source = tmp_path / "in"
    first, second = write(source / "song.flac", tones(9000)), write(source / "song.wav", tones(5000))
    results = []
    chosen = work(source, tmp_path / "out", toy_json)
    summary = run_on_ray(chosen, address=address, workers=1, on_result=results.append)
    assert (summary.done, summary.skipped, len(summary.failed)) == (1, 0, 1)
    assert str(second) in summary.failed[0].error
    assert str(first) in summary.failed[0].error
    assert read(tmp_path / "out" / "song" / "vocals.wav").shape == (2, 9000)
    assert len(results) == 2

    other = write(source / "song_vocals.wav", tones(4000))
    before = other.read_bytes()
    chosen = dataclasses.replace(
        work(source, source, toy_json), output=OutputOptions(filename_format="{filename}_{stem}.{codec}")
    )
    summary = run_on_ray(chosen, address=address, workers=1)
    assert other.read_bytes() == before
    assert sorted(result.name for result in summary.failed) == ["song.flac", "song.wav"]
    assert all("would overwrite the input" in result.error for result in summary.failed)
    # And what was written here is no song of the next run.
    names = [song.name for song in find_songs(chosen.source, chosen.target, ("vocals",), OutputOptions())]
    assert names == ["song.flac", "song.wav", "song_vocals.wav"]


def test_a_bug_is_one_line(toy_json, tmp_path, monkeypatch, caplog):
    source = catalogue(tmp_path / "in", 1)
    worker = Worker(work(source, tmp_path / "out", toy_json))
    for fault in (MemoryError(), ZeroDivisionError("division\nby zero"), OSError(5, "Input/output error")):

        def failing(*arguments, fault=fault, **options):
            raise fault

        monkeypatch.setattr(worker._separator, "separate_file", failing)
        result = worker.separate("disc 0/000.wav")
        assert type(fault).__name__ in result.error
        assert "disc 0/000.wav" in result.error
        assert "\n" not in result.error
    assert "Traceback" in caplog.text


def test_errors_of_ray_are_one_line_without_colours():
    error = RuntimeError(
        "\x1b[36mray::Worker.separate()\x1b[39m (pid=1)\n  File x.py\nunweave.errors.OptionError: no such stem\n"
    )
    assert _one_line(error) == "no such stem"


@pytest.mark.parametrize("change", [{"model": "no-such-model"}, {"stems": ("kazoo",)}])
def test_what_no_worker_can_do_is_one_line(toy_json, tmp_path, address, change):
    source = catalogue(tmp_path / "in", 1)
    chosen = dataclasses.replace(work(source, tmp_path / "out", toy_json), **change)
    with pytest.raises(UnweaveError, match=r"no-such-model|kazoo") as caught:
        run_on_ray(chosen, address=address, workers=1)
    assert "Traceback" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def memory_store():
    import fsspec

    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    return store


def test_a_store_that_is_not_this_machine(toy_json, tmp_path):
    store = memory_store()
    song = write(tmp_path / "song.wav", tones(20_000))
    for name in ("/in/a/song.wav", "/in/b.wav", "/in/b.mp3", "/in/stems/old/vocals.wav", "/in/notes.txt"):
        store.put_file(str(song), name)
    store.pipe_file("/in/app.ts", b"export const answer = 42;\n" * 50)
    chosen = work("memory://in", "memory://in/stems", toy_json)
    worker = Worker(chosen)

    def songs():
        return find_songs(chosen.source, chosen.target, worker.chosen_stems(), chosen.output)

    assert [song.name for song in songs()] == ["a/song.wav", "b.mp3", "b.wav"]
    assert [song.name for song in songs() if song.error] == ["b.wav"]
    assert "already taken by b.mp3" in songs()[2].error
    results = [worker.separate(song.name) for song in songs()[:2]]
    assert [result.error for result in results] == ["", ""]
    written = {name for result in results for name in result.stems.values()}
    assert set(chosen.target.listing()) == {*written, "old/vocals.wav"}
    store.get_file("/in/stems/a/song/vocals.wav", str(tmp_path / "back.wav"))
    assert read(tmp_path / "back.wav").shape == (2, 20_000)
    assert "cannot fetch" in worker.separate("c.wav").error

    def is_done():
        journal = CatalogueJournal(chosen.source, chosen.target, chosen.settings())
        return [journal.is_done(song) for song in songs()[:2]]

    assert is_done() == [False, False]
    with closing(CatalogueJournal(chosen.source, chosen.target, chosen.settings())) as journal:
        for result in results:
            journal.record(result.source, result.stamps)
    assert is_done() == [True, True]
    store.pipe_file("/in/b.mp3", b"another song")
    store.pipe_file("/in/stems/a/song/vocals.wav", b"")
    assert is_done() == [False, False]


def test_stems_in_the_store_of_the_songs(toy_json, tmp_path):
    store = memory_store()
    song = write(tmp_path / "song.wav", tones(9000))
    for name in ("/in/song.wav", "/in/song_vocals.wav"):
        store.put_file(str(song), name)
    output = OutputOptions(filename_format="{filename}_{stem}.{codec}")
    chosen = dataclasses.replace(work("memory://in", "memory://in", toy_json), output=output)
    found = {song.name: song for song in find_songs(chosen.source, chosen.target, ("vocals",), output)}
    assert "would overwrite the input song_vocals.wav" in found["song.wav"].error
    result = Worker(chosen).separate("song_vocals.wav")
    with closing(CatalogueJournal(chosen.source, chosen.target, chosen.settings())) as journal:
        journal.record(result.source, result.stamps)
    again = find_songs(chosen.source, chosen.target, ("vocals",), output)
    assert [song.name for song in again] == ["song.wav", "song_vocals.wav"]


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
    assert {name: place.read(name) for name in place.listing()} == (
        {"song/a.wav": b"old", "song/b.wav": b"old"} if old else {}
    )
    place.put(files)
    assert {name: place.read(name) for name in place.listing()} == {"song/a.wav": b"new", "song/b.wav": b"new"}


def test_the_command(toy_json, tmp_path):
    from unweave.cli.main import app

    source = catalogue(tmp_path / "in", 2)
    (source / "broken.mp3").write_bytes(b"no audio")
    arguments = ["batch", source, tmp_path / "out", "-p", toy_json, "--workers", 1, "-c", "flac",
                 "--report", tmp_path / "report.jsonl"]  # fmt: skip
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 1
    assert "2 done, 0 skipped, 1 failed" in result.stdout
    assert len((tmp_path / "report.jsonl").read_text().splitlines()) == 3
    assert len(list((tmp_path / "out").rglob("*.flac"))) == 4


def test_what_cannot_be_used(tmp_path):
    with pytest.raises(AudioReadError, match="no audio files"):
        find_songs(Place(str(tmp_path)), Place(str(tmp_path / "out")), ("vocals",), OutputOptions())
    with pytest.raises(AudioReadError, match="no audio files"):
        find_songs(Place("memory://nothing"), Place("memory://out"), ("vocals",), OutputOptions())
    with pytest.raises(AudioReadError, match="no folder"):
        find_songs(Place(str(tmp_path / "x")), Place(str(tmp_path / "out")), ("vocals",), OutputOptions())
    with pytest.raises(OptionError, match="nowhere"):
        Place("nowhere://x/y").check()
