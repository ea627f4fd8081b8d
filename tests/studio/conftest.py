"""A studio of its own for each test: a real server in a process that can be killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import requests

from tests.audio.test_files import write
from tests.helpers.signals import noise, tones
from tests.helpers.toys import write_toy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# How long a test waits for what must happen; only a fault makes it wait so long.
PATIENCE_SECONDS = 300


def until(condition, what="what was waited for"):
    """Wait for ``condition()`` to be true, and return its value."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


def names_below(folder):
    """The paths of all files and folders below ``folder``, which may vanish meanwhile."""
    return {os.path.join(root, name) for root, folders, names in os.walk(folder) for name in (*folders, *names)}


class Studio:
    """A running server; ``command`` is completed by the port."""

    def __init__(self, folder, command, gate=None):
        self._command, self.folder, self.gate = command, folder, gate
        self.start()

    def start(self, port=0):
        command = [str(part) for part in (*self._command, port)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
        line = self.process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + self.process.stderr.read()
        self.said = [line]
        self._listener = threading.Thread(target=self.said.extend, args=(self.process.stderr,), daemon=True)
        self._listener.start()
        self.address = found.group()
        self.root = self.address.partition("?")[0].rstrip("/")
        self.port = int(self.root.rpartition(":")[2])

    def release(self):
        """Let the separations go on that wait at the gate, and those to come."""
        self.gate.unlink(missing_ok=True)

    def kill(self):
        self._end(signal.SIGKILL)

    def stop(self):
        """As Ctrl-C does; returns the exit status."""
        return self._end(signal.SIGINT)

    def _end(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        status = self.process.wait()
        self._listener.join()
        self.process.stderr.close()
        return status

    def request(self, method, path, **options):
        with requests.Session() as session:
            return session.request(method, f"{self.root}{path}", timeout=PATIENCE_SECONDS, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def upload(self, song, model="toy", **parameters):
        raw = song if isinstance(song, bytes) else song.read_bytes()
        name = "song.wav" if isinstance(song, bytes) else song.name
        parameters = {"name": name, "model": model, **parameters}
        return self.request("POST", "/api/jobs", params=parameters, data=raw)

    def no_exports_left(self):
        """An export is forgotten when it has been sent, a moment after it has arrived."""
        until(lambda: not any("export-" in path for path in names_below(self.folder)), "exports are left")

    def wait(self, identifier, states=("done",)):
        """The job once it is in one of ``states``; it must not end in another."""

        def arrived():
            job = self.get(f"/api/jobs/{identifier}").json()
            assert job["state"] in ("queued", "running", *states), job
            return job if job["state"] in states else None

        return until(arrived, f"job {identifier} in {states}")

    def wait_for_stems(self, identifier):
        """The job once its first samples are there, which for a held studio is where it waits."""

        def arrived():
            job = self.get(f"/api/jobs/{identifier}").json()
            assert job["state"] in ("queued", "running"), job
            return job if job["n_samples"] else None

        return until(arrived, f"the first stems of {identifier}")


def add_toy(folder):
    """The toy as an added model, which needs no network."""
    from unweave.families.add import add_model

    (folder / "toy").mkdir()
    path = write_toy(folder / "toy")
    checkpoint = folder / "toy" / json.loads(path.read_text())["model_dir"]
    add_model("toy", checkpoint, path)


@pytest.fixture
def toy_model(tmp_path, cache):
    add_toy(tmp_path)


@pytest.fixture
def studios():
    running = []
    yield running
    for studio in running:
        if studio.process.poll() is None:
            studio.stop()


@pytest.fixture
def make_studio(tmp_path, toy_model, studios):
    """A studio as ``unweave studio`` starts it, with more arguments."""

    def make(*arguments):
        folder = tmp_path / "studio"
        command = [sys.executable, "-m", "unweave", "studio", "--no-browser", "--folder", folder, *arguments, "--port"]
        studios.append(Studio(folder, command))
        return studios[-1]

    return make


@pytest.fixture(scope="session")
def running_studio(tmp_path_factory):
    """The studio that `shared_studio` gives."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNWEAVE_CACHE", str(folder / "cache"))
        patch.delenv("MODEL_PATH", raising=False)
        add_toy(folder)
        command = [sys.executable, "-m", "unweave", "studio", "--no-browser", "--folder", folder / "studio", "--port"]
        studio = Studio(folder / "studio", command)
    yield studio
    studio.stop()


@pytest.fixture
def shared_studio(running_studio, monkeypatch):
    """A studio for tests that do not care what else is in it; commands in this process have its models."""
    monkeypatch.setenv("UNWEAVE_CACHE", str(running_studio.folder.parent / "cache"))
    monkeypatch.delenv("MODEL_PATH", raising=False)
    return running_studio


@pytest.fixture
def make_held_studio(tmp_path, toy_model, studios):
    """A studio whose separations wait after their first stems until they are released, with other `Settings`."""

    def make(**settings):
        folder, gate = tmp_path / "studio", tmp_path / "gate"
        gate.touch()
        values = ",".join(f"{name}={value}" for name, value in settings.items())
        command = [sys.executable, "-m", "tests.helpers.held", folder, gate, values]
        studios.append(Studio(folder, command, gate))
        return studios[-1]

    return make


@pytest.fixture
def studio(make_studio):
    return make_studio()


@pytest.fixture
def held_studio(make_held_studio):
    return make_held_studio()


@pytest.fixture
def song(tmp_path):
    """Six seconds."""
    return write(tmp_path / "songs" / "Étude n° 1.wav", tones(6 * 44100) + noise(6 * 44100, level=0.02))


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
    with playwright.sync_playwright() as started:
        patience = 1000 * PATIENCE_SECONDS
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=patience)
        yield browser
        browser.close()


@pytest.fixture
def held_page(browser, held_studio):
    """The page of a studio whose separations wait in the middle until they are released."""
    from tests.studio.pages import opened

    with opened(browser, held_studio) as page:
        yield page


@pytest.fixture(scope="module")
def shared_page(browser, running_studio, tmp_path_factory):
    """The page of the shared studio with six seconds of tones, separated by the toy, for all tests of a file."""
    from tests.studio.pages import done, opened, upload

    song = write(tmp_path_factory.mktemp("songs") / "tones.wav", tones(6 * 44100) + noise(6 * 44100, level=0.02))
    with opened(browser, running_studio) as page:
        upload(page, song)
        done(page)
        yield page


@pytest.fixture
def desk(shared_page):
    """The shared page at the beginning of its song, with all faders at 0 and nothing else changed either."""
    from tests.studio.pages import RESET

    shared_page.evaluate(RESET)
    yield shared_page
    shared_page.evaluate("window.unweave.player.pause()")
