"""Downloads from servers that compress unasked, break off, lie about lengths and ranges, or never end."""

import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest

from unweave.errors import DownloadError
from unweave.models import fetch
from unweave.models.spec import Source, Weights, WeightsFile

CONTENT = np.random.default_rng(1).bytes(400_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def serve():
    """Starts a server whose ``answer(request, start)`` gives a status, headers and body; returns its address."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.server.requests.append(dict(self.headers))
                given = self.headers.get("Range", "")
                status, headers, body = answer(self, int(given[6:-1]) if given else 0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for part in body if not isinstance(body, bytes) else [body]:
                        self.wfile.write(part)
                except OSError:
                    pass  # the client has had enough

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.requests = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/model.tar.gz", server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fetched(url, work, sha256=SHA256, **options):
    return fetch.download(url, sha256, work, lambda done, total, label: None, **options).read_bytes()


def plain(request, start):
    return 206 if start else 200, {"Content-Length": len(CONTENT) - start}, CONTENT[start:]


def test_no_compression_is_asked_for(serve, tmp_path):
    url, server = serve(plain)
    assert fetched(url, tmp_path) == CONTENT
    assert [request["Accept-Encoding"] for request in server.requests] == ["identity"]


@pytest.mark.parametrize("known", [SHA256, None], ids=["checksum", "no checksum"])
def test_a_server_that_compresses_all_the_same(serve, tmp_path, known):
    packed = gzip.compress(CONTENT)
    url, _ = serve(lambda request, start: (200, {"Content-Encoding": "gzip", "Content-Length": len(packed)}, packed))
    assert fetched(url, tmp_path, known) == CONTENT


def test_a_server_that_calls_the_archives_own_compression_an_encoding(serve, tmp_path):
    packed = gzip.compress(CONTENT)
    url, _ = serve(lambda request, start: (200, {"Content-Encoding": "x-gzip", "Content-Length": len(packed)}, packed))
    assert fetched(url, tmp_path, hashlib.sha256(packed).hexdigest()) == packed


@pytest.mark.parametrize("length", ["400001", "9999999", "-5", "many", "1e3"])
def test_a_length_that_is_wrong_or_none_does_not_spoil_a_file_that_is_right(serve, tmp_path, monkeypatch, length):
    monkeypatch.setattr(fetch, "TRIES", 2)
    url, _ = serve(lambda request, start: (200, {"Content-Length": length}, CONTENT))
    assert fetched(url, tmp_path) == CONTENT


def test_a_length_that_is_too_short_is_an_error_and_leaves_nothing(serve, tmp_path):
    url, _ = serve(lambda request, start: (200, {"Content-Length": len(CONTENT) - 1}, CONTENT))
    with pytest.raises(DownloadError, match="SHA-256 differs"):
        fetched(url, tmp_path)
    assert not list(tmp_path.iterdir())


def begun(url, work, content):
    """A part that an earlier try left."""
    identity = hashlib.sha256(SHA256.encode()).hexdigest()[:12]
    (work / f"model.tar.gz.{identity}.part").write_bytes(content)


def test_goes_on_from_a_part(serve, tmp_path):
    url, server = serve(plain)
    begun(url, tmp_path, CONTENT[:1000])
    assert fetched(url, tmp_path) == CONTENT
    assert server.requests[0]["Range"] == "bytes=1000-"


def test_a_wrong_part_is_replaced(serve, tmp_path):
    url, _ = serve(plain)
    begun(url, tmp_path, b"x" * 1000)
    assert fetched(url, tmp_path) == CONTENT


def test_a_part_that_is_too_long_is_replaced(serve, tmp_path):
    def answer(request, start):
        return (416, {"Content-Range": f"bytes */{len(CONTENT)}"}, b"") if start else plain(request, start)

    url, _ = serve(answer)
    begun(url, tmp_path, CONTENT + b"more")
    assert fetched(url, tmp_path) == CONTENT


def test_a_server_that_sends_another_range_than_was_asked_for(serve, tmp_path):
    def answer(request, start):
        if not start:
            return plain(request, start)
        return 206, {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"}, CONTENT

    url, _ = serve(answer)
    begun(url, tmp_path, CONTENT[:1000])
    assert fetched(url, tmp_path) == CONTENT


def test_a_download_without_end_is_given_up(serve, tmp_path):
    def endless():
        while True:
            yield bytes(1 << 16)

    url, _ = serve(lambda request, start: (200, {}, endless()))
    with pytest.raises(DownloadError, match="more than 1000000 bytes"):
        fetched(url, tmp_path, max_bytes=1_000_000)
    assert not list(tmp_path.iterdir())


def test_an_archive_may_be_twice_as_large_as_its_weights_and_a_little_more(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_OTHER_BYTES", 1_000_000)
    url, _ = serve(lambda request, start: (200, {}, (bytes(1 << 16) for _ in range(100))))
    weights = Weights("mine", (WeightsFile("a", SHA256, 300_000), WeightsFile("b", SHA256, 100_000)), ())
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(DownloadError, match="more than 1800000 bytes"):
        fetch.fetch_from(Source("archive", url), weights, tmp_path, target, lambda done, total, label: None)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_part_of_another_file_of_the_same_name_is_left_alone(serve, tmp_path):
    other = CONTENT[::-1]
    url, _ = serve(plain)
    begun(url, tmp_path, CONTENT[:1000])
    reversed_url, _ = serve(lambda request, start: (200, {}, other))
    assert fetched(reversed_url, tmp_path, hashlib.sha256(other).hexdigest()) == other


@pytest.mark.parametrize("path", ["/..", "/%2e%2e", "/a\\..\\b.tar.gz", "/", "/ü?x=1", "/con:x"])
def test_the_name_of_a_url_leads_nowhere(serve, tmp_path, path):
    url, _ = serve(plain)
    whole = fetch.download(url.replace("/model.tar.gz", path), SHA256, tmp_path, lambda *progress: None)
    assert whole.parent == tmp_path
    assert whole.read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://[", "http://a b/", "http://127.0.0.1:99999/x", "https://"])
def test_what_is_no_url_is_one_line(tmp_path, url):
    with pytest.raises(DownloadError) as caught:
        fetched(url, tmp_path)
    assert "\n" not in str(caught.value)
