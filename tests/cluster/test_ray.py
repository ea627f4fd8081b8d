"""A catalogue on two nodes of a Ray, from a bucket to a bucket: complete, whole, and once, whatever dies."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from click.testing import CliRunner

from tests.audio.test_files import write
from tests.helpers.catalogues import catalogue, work
from tests.helpers.signals import tones
from unweave import Separator
from unweave.errors import Cancelled, OptionError, UnweaveError

pytest.importorskip("ray")
pytest.importorskip("moto")
pytest.importorskip("s3fs")

import fsspec
import ray

from tests.helpers.nodes import kill_worker, two_nodes
from tests.helpers.s3 import Slow, every, serving_s3
from unweave.cluster.pool import RayPool, _one_line
from unweave.cluster.run import run_on_ray
from unweave.cluster.songs import Song
from unweave.cluster.worker import Result

pytestmark = [
    pytest.mark.filterwarnings("default"),  # Ray's own
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
    pytest.mark.xdist_group("ray"),
]

N_FILES = 80


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two nodes and an S3 server, which all tests share: starting them takes seconds."""
    with pytest.MonkeyPatch.context() as patch, serving_s3("songs", "stems") as server:
        for name, value in {**server.environment, "UNWEAVE_CACHE": str(tmp_path_factory.mktemp("cache"))}.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").clear_instance_cache()
        with two_nodes() as nodes:
            yield nodes, server
        fsspec.filesystem("s3").clear_instance_cache()


def fill(folder, n_files):
    """Songs in the bucket; what ``separate`` makes of them is known by their names."""
    store = fsspec.filesystem("s3", use_listings_cache=False)
    for path in sorted(folder.rglob("*.wav")):
        store.put_file(str(path), f"songs/{folder.name}/{path.relative_to(folder).as_posix()}")
    assert len(store.find(f"songs/{folder.name}")) == n_files
    return store


def expected_stems(folder, out, toy_json):
    separator = Separator(str(toy_json), threads=1)
    return {
        f"{path.relative_to(folder).with_suffix('').as_posix()}/{stem}.wav": stem_path.read_bytes()
        for path in folder.rglob("*.wav")
        for stem, stem_path in separator.separate_file(path, out / path.parent.name).items()
    }


def stems_in(store, folder):
    found = store.find(f"stems/{folder}")
    return {name.partition(f"{folder}/")[2]: store.cat_file(name) for name in found if "!unweave-journal-" not in name}


def test_eighty_songs_three_killed_workers_a_killed_node_and_a_store_that_refuses(place, toy_json, tmp_path):
    nodes, server = place
    source = catalogue(tmp_path / "eighty", N_FILES)
    store = fill(source, N_FILES)
    seen, killed, started = [], [], []

    def disturb(result, summary):
        seen.append(result)
        if len(killed) == 4 or len(seen) < N_FILES // 6 * (len(killed) + 1):
            return
        if len(killed) == 2:
            killed.append(nodes.kill_one())
            nodes.add_one()
            return
        (actors,) = started
        with suppress(ray.exceptions.RayError, IndexError):  # it may have died with its node
            killed.append(kill_worker(actors))

    server.fault = every(20)
    summary = run_on_ray(
        work("s3://songs/eighty", "s3://stems/eighty", toy_json),
        address=nodes.address,
        on_result=disturb,
        on_start=started.append,
    )
    server.fault = lambda *arguments: None
    assert len(set(killed)) == 4
    assert (summary.done, summary.skipped, summary.failed) == (N_FILES, 0, 0)
    assert len({result.name for result in seen}) == len(seen) == N_FILES
    assert stems_in(store, "eighty") == expected_stems(source, tmp_path / "out", toy_json)
    again = run_on_ray(work("s3://songs/eighty", "s3://stems/eighty", toy_json), address=nodes.address)
    assert (again.done, again.skipped, again.failed) == (0, N_FILES, 0)


def test_a_driver_that_is_told_to_stop_and_one_that_is_killed(place, toy_json, tmp_path):
    nodes, server = place
    source = catalogue(tmp_path / "driver", 12)
    store = fill(source, 12)
    server.fault = lambda number, method, path: Slow(0.1) if method == "PUT" else None
    command = [sys.executable, "-m", "unweave", "batch", "s3://songs/driver", "s3://stems/driver", "-p", str(toy_json)]
    command += ["--address", nodes.address, "--workers", "1"]

    def stopped(number, n_puts):
        server.requests.clear()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while sum(method == "PUT" for method, _ in server.requests) < n_puts and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(number)
            return process.wait(), process.stdout.read()

    # Told to stop, it finishes what it has begun, and notes it.
    status, said = stopped(signal.SIGTERM, 3)
    assert status == 130
    n_done = int(said.split()[0])
    assert 2 <= n_done < 10
    assert len(stems_in(store, "driver")) == 2 * n_done

    # Killed, it loses at most what it had not noted; no stem is there in part.
    status, _ = stopped(signal.SIGKILL, 4)
    assert status == -signal.SIGKILL
    expected = expected_stems(source, tmp_path / "out", toy_json)
    assert stems_in(store, "driver").items() <= expected.items()

    server.fault = lambda *arguments: None
    summary = run_on_ray(work("s3://songs/driver", "s3://stems/driver", toy_json), address=nodes.address, workers=1)
    assert (summary.done + summary.skipped, summary.failed) == (12, 0)
    assert summary.skipped >= n_done
    assert stems_in(store, "driver") == expected


@pytest.mark.parametrize("change", [{"model": "no-such-model"}, {"stems": ("kazoo",)}])
def test_what_no_worker_can_do_is_one_line(toy_json, tmp_path, place, change):
    source = catalogue(tmp_path / "in", 1)
    chosen = dataclasses.replace(work(source, tmp_path / "out", toy_json), **change)
    with pytest.raises(UnweaveError, match=r"no-such-model|kazoo") as caught:
        run_on_ray(chosen, address=place[0].address, workers=1)
    assert "Traceback" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("unable", [{0}, {1}, {1, 2}])
def test_a_worker_that_cannot_start_does_not_end_the_run(place, toy_json, tmp_path, monkeypatch, caplog, unable):
    """The first, or one of a node that came late: one warning, and the others do the songs."""

    def songs():
        deadline = time.monotonic() + 30
        while not caplog.records and time.monotonic() < deadline:
            yield Song("song")
        yield from map(Song, ["song"] * 50 + ["a", "b", "c"])

    start, started = RayPool._start, []
    monkeypatch.setattr(RayPool, "_start", lambda pool: started.append(pool) or start(pool))
    with pool_of_lame_workers(place, toy_json, tmp_path, monkeypatch, unable) as pool:
        results = [result.name for result in pool.results(songs())]
    assert sorted(set(results) - {"song"}) == ["a", "b", "c"]
    assert len(started) == 3 + (0 in unable)  # no others are tried at once
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ["OSError: no disk for this worker"]


def test_where_no_worker_can_start_the_run_ends(place, toy_json, tmp_path, monkeypatch, caplog):
    with (
        pytest.raises(OptionError, match="Ray cannot start the workers: OSError: no disk for this worker"),
        pool_of_lame_workers(place, toy_json, tmp_path, monkeypatch, set(range(10))),
    ):
        pytest.fail("there is no worker")
    assert not caplog.records


def test_results_come_while_songs_are_looked_for(place, toy_json, tmp_path, monkeypatch):
    """None that have been found for a long time: what is under way is not left waiting."""
    results = []

    def songs():
        deadline = time.monotonic() + 30
        yield Song("first")
        while not results:
            assert time.monotonic() < deadline
            yield None
        yield Song("last")

    with pool_of_lame_workers(place, toy_json, tmp_path, monkeypatch) as pool:
        for result in pool.results(songs()):
            results.append(result.name)
    assert results == ["first", "last"]


@pytest.mark.parametrize("fails_at", ["identity", "separate"])
def test_a_worker_that_ray_ends_for_want_of_memory_is_replaced(
    place, toy_json, tmp_path, monkeypatch, caplog, fails_at
):
    """Ray does not call that the death of an actor, but whatever it is asked from then on ends in the same error."""
    songs = [Song(str(number)) for number in range(20)]
    with pool_of_lame_workers(place, toy_json, tmp_path, monkeypatch, {0}, fails_at) as pool:
        results = sorted((int(result.name), result.error) for result in pool.results(iter(songs)))
    assert results == [(number, "") for number in range(20)]
    assert len(caplog.records) == (fails_at == "identity")
    assert all("its machine ran out of memory" in record.getMessage() for record in caplog.records)


def test_a_worker_with_another_model_gets_no_songs(place, toy_json, tmp_path, monkeypatch, caplog):
    """Its machine could not download the one that the others have, or has another version: half of the stems would be
    of another kind, and nobody would know which.
    """

    def songs():
        deadline = time.monotonic() + 30
        while not caplog.records and time.monotonic() < deadline:
            yield Song("song")
        yield from map(Song, ["song"] * 50)

    with pool_of_lame_workers(place, toy_json, tmp_path, monkeypatch, {1}, "model") as pool:
        assert {result.machine for result in pool.results(songs())} == {""}
    [warning] = caplog.records
    assert "it has another model, and the first worker has the model" in warning.getMessage()


def test_who_stops_a_run_does_not_wait_for_its_first_worker(place, toy_json, tmp_path):
    chosen = work(tmp_path, tmp_path / "out", toy_json)
    with pytest.raises(Cancelled, match="stopped before"):
        run_on_ray(chosen, address=place[0].address, cpus_per_worker=1000, should_stop=lambda: True)


def test_a_machine_without_a_graphics_card(toy_json, tmp_path, monkeypatch):
    """A worker that needs one would be waited for for ever."""
    monkeypatch.setattr("unweave.cluster.pool._connect", lambda address: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(OptionError, match="needs 1 of the machine's graphics cards, and Ray finds 0"):
        run_on_ray(work(tmp_path, tmp_path / "out", toy_json), gpus_per_worker=1)


def test_workers_that_are_killed_as_they_start(place, toy_json, tmp_path, monkeypatch, caplog):
    """By the kernel, say, which tells nobody why: another is started, but where all are killed, the run ends."""
    monkeypatch.setattr("unweave.cluster.pool.RETRIES", 1)
    with pool_of_lame_workers(place, toy_json, tmp_path, monkeypatch, {0}, "crash") as pool:
        assert [result.name for result in pool.results(iter([Song("a")]))] == ["a"]
    [warning] = caplog.records
    assert "its worker process has died" in warning.getMessage()
    with (
        pytest.raises(OptionError, match=r"Ray cannot start the workers: .*its worker process has died"),
        pool_of_lame_workers(place, toy_json, tmp_path, monkeypatch, set(range(20)), "crash"),
    ):
        pytest.fail("there is no worker")


def pool_of_lame_workers(place, toy_json, tmp_path, monkeypatch, unable=(), at="start"):
    """A pool of three, whose workers do nothing; those of these numbers, in the order of their start, fail ``at``."""

    class Lame:
        def __init__(self, work):
            for number in itertools.count():
                with suppress(FileExistsError):
                    (tmp_path / str(number)).touch(exist_ok=False)
                    break
            self.fails_at = at if number in unable else None
            self.number = number
            if self.fails_at == "start":
                raise OSError("no disk for this worker")
            if self.fails_at == "crash":
                os._exit(1)

        def identity(self):
            if self.fails_at == "identity":
                raise ray.exceptions.OutOfMemoryError("killed")
            return "another model" if self.fails_at == "model" else "the model"

        def chosen_stems(self):
            return ("vocals",)

        def separate(self, song):
            if self.fails_at == "separate":
                raise ray.exceptions.OutOfMemoryError("killed")
            return Result(song.name, {}, machine=self.fails_at or "")

    monkeypatch.setattr("unweave.cluster.pool.Worker", Lame)
    return RayPool(work(tmp_path, tmp_path, toy_json), place[0].address, n_workers=3, cpus_per_worker=0.25)


def test_errors_of_ray_are_one_line_without_colours():
    error = RuntimeError(
        "\x1b[36mray::Worker.separate()\x1b[39m (pid=1)\n  File x.py\nunweave.errors.OptionError: no such stem\n"
    )
    assert _one_line(error) == "no such stem"


def test_the_command(toy_json, tmp_path, monkeypatch):
    """With a Ray of its own, which keeps to the processors of the container and to this machine, and with metrics.

    In the folder that the user is in, to which paths are relative, lies a module that nobody is to import.
    """
    from ray.util import metrics

    from unweave.cli.main import app

    started, counted = {}, []
    init = ray.init

    def init_and_look(**options):
        context = init(**options)
        started.update(options, listens_at=ray.util.get_node_ip_address())
        return context

    monkeypatch.setattr(ray, "init", init_and_look)
    monkeypatch.setattr("unweave.cluster.pool.available_processors", lambda: 1)
    monkeypatch.setattr(metrics.Counter, "inc", lambda self, value=1.0, tags=None: counted.append((value, tags)))
    source = catalogue(tmp_path / "in", 2)
    (source / "broken.mp3").write_bytes(b"no audio")
    write(source / "broken.wav", tones(4000))
    (tmp_path / "numpy.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    arguments = ["batch", "in", "out", "-p", toy_json, "-c", "flac",
                 "--report", tmp_path / "report.jsonl", "--price_per_hour", 3600]  # fmt: skip
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 1
    assert started["num_cpus"] == 1
    assert started["listens_at"] == "127.0.0.1"
    assert not (tmp_path / "was run").exists()
    assert "2 done, 0 skipped, 2 failed" in result.stdout
    assert "per 1,000 songs" in result.stdout
    assert "4 of 4 files, 0 s left" in result.stderr
    assert len((tmp_path / "report.jsonl").read_text().splitlines()) == 4
    assert len(list((tmp_path / "out").rglob("*.flac"))) == 4
    assert sum(value for value, tags in counted if tags == {"outcome": "done"}) == 2
    assert sum(value for value, tags in counted if tags == {"outcome": "failed"}) == 2


def test_the_command_is_interrupted_before_there_is_a_worker(tmp_path, monkeypatch):
    from unweave.cli.failures import interrupted
    from unweave.cli.main import app

    def run(work, *, should_stop, **options):
        interrupted.set()
        assert should_stop()
        raise Cancelled("stopped before there was a worker")

    monkeypatch.setattr("unweave.cluster.run.run_on_ray", run)
    try:
        result = CliRunner().invoke(app, ["batch", str(tmp_path), "memory://out"])
    finally:
        interrupted.clear()
    assert (result.exit_code, result.stderr) == (130, "unweave: error: stopped before there was a worker\n")


def test_the_command_says_why_it_stopped(tmp_path, monkeypatch):
    from unweave.cli.main import app
    from unweave.cluster.run import Summary

    limits = []
    monkeypatch.setattr(
        "unweave.cluster.run.run_on_ray",
        lambda work, **options: limits.append(options["max_failures"]) or Summary(done=5, failed=3, seconds=1800),
    )
    arguments = ["batch", str(tmp_path), "memory://out", "--max_failures", "2", "--price_per_hour", "4"]
    result = CliRunner().invoke(app, arguments)
    assert limits == [2]
    assert (result.exit_code, result.stderr) == (1, "unweave: error: stopped after 3 failed files; the limit is 2\n")
    assert "cost: 2.00, or 400 per 1,000 songs" in result.stdout
