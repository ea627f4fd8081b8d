"""A catalogue on a Ray of one machine: complete, whole, and once, whatever dies."""

import os
import signal
import sys
import threading
import time

import pytest
from typer.testing import CliRunner

from tests.audio.test_files import read, write
from tests.helpers.signals import tones
from unweave import OptionError
from unweave.errors import AudioReadError

pytest.importorskip("ray")

from unweave.cluster.places import Place
from unweave.cluster.run import run_on_ray
from unweave.cluster.worker import Work, Worker
from unweave.separation.output import OutputOptions

pytestmark = [
    pytest.mark.filterwarnings("default"),  # Ray's own
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
    pytest.mark.xdist_group("ray"),
]

N_FILES = 200


def catalogue(folder, n_files, n_samples=20_000):
    for number in range(n_files):
        write(folder / f"disc {number % 7}" / f"{number:03}.wav", tones(n_samples)[:, : n_samples - number])
    return folder


def work(source, target, toy_json):
    return Work(Place(str(source)), Place(str(target)), str(toy_json), OutputOptions(), None, {"threads": 1})


def test_two_hundred_files_and_three_killed_workers(toy_json, tmp_path):
    source = catalogue(tmp_path / "in", N_FILES)
    seen, killed = [], []

    def kill_later(n_files, actors):
        import ray

        def kill():
            while len(killed) < 3:
                if len(seen) >= 40 * (len(killed) + 1):
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
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 2 * N_FILES


def test_running_again_does_what_is_missing_and_reports_what_is_broken(toy_json, tmp_path):
    source = catalogue(tmp_path / "in", 3)
    (source / "broken.mp3").write_bytes(b"no audio")
    chosen = work(source, tmp_path / "out", toy_json)
    summary = run_on_ray(chosen, workers=1)
    assert (summary.done, len(summary.failed)) == (3, 1)
    assert "broken.mp3" in summary.failed[0].name
    (tmp_path / "out" / "disc 1" / "001" / "vocals.wav").unlink()
    again = run_on_ray(chosen, workers=1)
    assert (again.done, again.skipped, len(again.failed)) == (1, 2, 1)


def test_a_store_that_is_not_this_machine(toy_json, tmp_path):
    import fsspec

    store = fsspec.filesystem("memory")
    song = write(tmp_path / "song.wav", tones(20_000))
    store.put_file(str(song), "/in/a/song.wav")
    store.put_file(str(song), "/in/b.wav")
    chosen = work("memory://in", "memory://out", toy_json)
    assert chosen.source.audio_files() == ["a/song.wav", "b.wav"]
    worker = Worker(chosen)
    results = [worker.separate(name) for name in chosen.source.audio_files()]
    assert [result.error for result in results] == ["", ""]
    assert chosen.target.names() == {name for result in results for name in result.stems.values()}
    store.get_file("/out/a/song/vocals.wav", str(tmp_path / "back.wav"))
    assert read(tmp_path / "back.wav").shape == (2, 20_000)
    assert "cannot fetch" in worker.separate("c.wav").error


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
        Place(str(tmp_path)).audio_files()
    with pytest.raises(OptionError, match="nowhere"):
        Place("nowhere://x/y").audio_files()
