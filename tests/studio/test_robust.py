"""Killed in the middle, started again; and fifty listeners at once."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import requests
from click.testing import CliRunner

from tests.studio.conftest import PATIENCE_SECONDS
from unweave.cli.main import app


def test_a_killed_server_finishes_its_jobs_when_it_is_back(held_studio, song):
    first, second = (held_studio.upload(song).json()["id"] for _ in range(2))
    held_studio.wait_for_stems(first)
    held_studio.kill()
    half = held_studio.folder / "jobs" / "fedcba9876543210"  # an upload that never became a job
    half.mkdir()
    (half / "source").write_bytes(b"half")
    export = held_studio.folder / "jobs" / "export-x"  # and an export that was cut off
    export.mkdir()
    (export / "export.wav").write_bytes(b"half")
    held_studio.release()
    held_studio.start()
    for identifier in (first, second):
        assert held_studio.wait(identifier)["n_samples"] == 6 * 44100
    assert {job["id"] for job in held_studio.get("/api/jobs").json()} == {first, second}
    assert not half.exists()
    assert not export.exists()
    for identifier in (first, second):
        names = {path.name for path in (held_studio.folder / "jobs" / identifier).iterdir()}
        assert names == {"source", "job.json", "stem-0.f32", "stem-1.f32"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_how_a_studio_ends(held_studio, song, number):
    """Quietly, with a song under way and a page that listens to it; the song is separated at the next start."""
    identifier = held_studio.upload(song).json()["id"]
    held_studio.wait_for_stems(identifier)
    with requests.get(f"{held_studio.root}/api/jobs/{identifier}/events", stream=True, timeout=60) as events:
        assert next(events.iter_lines()).startswith(b"data: ")
        assert held_studio._end(number) == 0
    assert held_studio.said == [f"{held_studio.address}\n"]
    held_studio.release()
    held_studio.start()
    assert held_studio.wait(identifier)["attempt"] == 1


def test_the_command_ends_as_quietly(studio):
    assert studio.stop() == 0
    assert len(studio.said) == 1
    assert studio.said[0].startswith("unweave studio: http://127.0.0.1:")


def test_a_browser_that_waits_for_the_page_gets_it(tmp_path):
    """As those in a terminal do, and in their way ones with windows."""
    script = tmp_path / "browser.py"
    script.write_text(
        "import sys, urllib.request\n"
        "try: print(urllib.request.urlopen(sys.argv[1], timeout=20).status, flush=True)\n"
        "except OSError as error: print(error, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "unweave", "studio", "--folder", str(tmp_path / "studio"), "--port", "0"],
        env={**os.environ, "BROWSER": f"{sys.executable} {script} %s"}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "200\n"
        process.send_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--max_minutes", "nan"), ("--max_minutes", "0"), ("--keep_days", "inf"), ("--keep_days", "-1"),
     ("--token", ""), ("--token", "  "), ("--workers", "0"), ("--max_disk", "0"), ("--host", "a..b")],
)  # fmt: skip
def test_settings_that_make_no_sense(tmp_path, option, value):
    arguments = ["studio", "--no-browser", "--port", "0", "--folder", str(tmp_path / "studio"), option, value]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_two_servers_do_not_share_a_folder(studio):
    command = [sys.executable, "-m", "unweave", "studio", "--no-browser", "--port", "0", "--folder", studio.folder]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 2
    assert "another studio" in run.stderr


def test_a_port_that_is_taken(studio, tmp_path):
    command = [sys.executable, "-m", "unweave", "studio", "--no-browser", "--port", str(studio.port),
               "--folder", tmp_path / "other"]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 2
    assert "cannot listen" in run.stderr


def test_fifty_clients_poll_and_stream_while_jobs_run(held_studio, song):
    held_studio.release()
    done = held_studio.wait(held_studio.upload(song).json()["id"])
    held_studio.gate.touch()
    running = held_studio.upload(song).json()["id"]
    ready = held_studio.wait_for_stems(running)["n_samples"]
    path = f"/api/jobs/{done['id']}/stems/vocals/samples"
    whole = held_studio.get(path, params={"count": 1 << 20}).content
    assert len(whole) == 4 * 6 * 44100
    problems = []

    def client(number):
        with requests.Session() as session:
            for turn in range(12):
                start = (number * 7 + turn) * 600
                answers = {
                    each: session.get(f"{held_studio.root}{each}", timeout=PATIENCE_SECONDS)
                    for each in (
                        "/api/jobs",
                        f"/api/jobs/{running}",
                        f"{path}?start={start}&count=20000",
                        f"/api/jobs/{running}/stems/vocals/peaks?points=50",
                    )
                }
                jobs, job, samples, peaks = answers.values()
                problems.extend(each for each, answer in answers.items() if answer.status_code != 200)
                if (
                    {each["id"] for each in jobs.json()} != {done["id"], running}
                    or job.json()["n_samples"] < ready
                    or samples.content != whole[4 * start : 4 * (start + 20000)]
                    or len(peaks.json()) != 50
                ):
                    problems.append((number, turn))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(50)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert problems == []
    held_studio.release()
    held_studio.wait(running)
