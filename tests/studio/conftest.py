"""A studio of its own for each test: a real server in a process that can be killed."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import requests

from tests.audio.test_files import write
from tests.helpers.signals import noise, tones
from tests.helpers.toys import write_toy


class Studio:
    """A running server."""

    def __init__(self, folder, arguments):
        self._command = [sys.executable, "-m", "unweave", "studio", "--no-browser", "--folder", folder, *arguments]
        self.folder = folder
        self.start()

    def start(self, port=0):
        command = [str(part) for part in (*self._command, "--port", port)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
        line = self.process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + self.process.stderr.read()
        self.address = found.group()
        self.root = self.address.partition("?")[0].rstrip("/")
        self.port = int(self.root.rpartition(":")[2])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stderr.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if not self.process.stderr.closed:
            self.process.stderr.close()

    def request(self, method, path, **options):
        with requests.Session() as session:
            return session.request(method, f"{self.root}{path}", timeout=60, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def upload(self, song, model="toy", **parameters):
        raw = song if isinstance(song, bytes) else song.read_bytes()
        name = "song.wav" if isinstance(song, bytes) else song.name
        parameters = {"name": name, "model": model, **parameters}
        return self.request("POST", "/api/jobs", params=parameters, data=raw)

    def no_exports_left(self):
        """An export is forgotten when it has been sent, a moment after it has arrived."""
        deadline = time.monotonic() + 5
        while list(self.folder.rglob("export-*")):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def wait(self, identifier, states=("done",), seconds=90):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = self.get(f"/api/jobs/{identifier}").json()
            if job["state"] in states:
                return job
            assert job["state"] in ("queued", "running"), job
            time.sleep(0.05)
        raise AssertionError(job)


@pytest.fixture
def toy_model(tmp_path, cache):
    """The toy as an added model, which needs no network."""
    from unweave.models.added import add_model

    (tmp_path / "toy").mkdir()
    path = write_toy(tmp_path / "toy")
    import json

    checkpoint = tmp_path / "toy" / json.loads(path.read_text())["model_dir"]
    add_model("toy", checkpoint, path)


@pytest.fixture
def make_studio(tmp_path, toy_model):
    studios = []

    def make(*arguments):
        studios.append(Studio(tmp_path / "studio", arguments))
        return studios[-1]

    yield make
    for studio in studios:
        studio.stop()


@pytest.fixture
def studio(make_studio):
    return make_studio()


@pytest.fixture
def song(tmp_path):
    """Six seconds."""
    return write(tmp_path / "songs" / "Étude n° 1.wav", tones(6 * 44100) + noise(6 * 44100, level=0.02))


@pytest.fixture
def long_song(tmp_path):
    """Long enough to be caught while it is separated."""
    return write(tmp_path / "songs" / "long.wav", noise(240 * 44100))
