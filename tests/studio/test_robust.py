"""Killed in the middle, started again; and fifty listeners at once."""

import subprocess
import sys
import threading
from pathlib import Path

import requests

from tests.studio.conftest import Studio


def test_a_killed_server_finishes_its_jobs_when_it_is_back(studio, song, long_song):
    first = studio.upload(long_song).json()["id"]
    second = studio.upload(song).json()["id"]
    studio.wait(first, ("running",))
    while not studio.get(f"/api/jobs/{first}").json()["n_samples"]:
        pass
    studio.kill()
    half = studio.folder / "jobs" / "fedcba9876543210"  # an upload that never became a job
    half.mkdir()
    (half / "source").write_bytes(b"half")
    studio.start()
    assert studio.wait(first, seconds=200)["n_samples"] == 240 * 44100
    assert studio.wait(second)["n_samples"] == 6 * 44100
    assert {job["id"] for job in studio.get("/api/jobs").json()} == {first, second}
    assert not half.exists()
    for identifier in (first, second):
        names = {path.name for path in (studio.folder / "jobs" / identifier).iterdir()}
        assert names == {"source", "job.json", "stem-0.f32", "stem-1.f32"}


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


def resident_megabytes(studio: Studio):
    lines = Path(f"/proc/{studio.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def test_fifty_clients_poll_and_stream_while_jobs_run(studio, song, long_song):
    done = studio.wait(studio.upload(song).json()["id"])
    running = studio.upload(long_song).json()["id"]
    studio.wait(running, ("running",))
    before = resident_megabytes(studio)
    problems, levels = [], []

    def client(number):
        with requests.Session() as session:
            for turn in range(12):
                start = (number * 7 + turn) * 3000
                for path in (
                    "/api/jobs",
                    f"/api/jobs/{running}",
                    f"/api/jobs/{done['id']}/stems/vocals/samples?start={start}&count=20000",
                    f"/api/jobs/{running}/stems/vocals/peaks?points=50",
                ):
                    response = session.get(f"{studio.root}{path}", timeout=60)
                    if response.status_code not in (200, 404):  # the running one may have no stems yet
                        problems.append((path, response.status_code, response.text))
                if number == 0:
                    levels.append(resident_megabytes(studio))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(50)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert problems == []
    assert max(levels) < before + 200, (before, levels)
    studio.request("POST", f"/api/jobs/{running}/cancel")
