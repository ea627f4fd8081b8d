"""What is not allowed gets a clear status, and nothing is written outside of the studio's folder."""

import io
import socket
import zipfile
from contextlib import suppress

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import noise, tones
from tests.studio.conftest import names_below


@pytest.fixture
def outside(shared_studio):
    """Everything beside the studio's folder must stay as it is."""
    folder = shared_studio.folder.parent

    def paths():
        own = (str(folder / "studio"), str(folder / "cache"))
        return {path for path in names_below(folder) if not path.startswith(own)}

    before = paths()
    yield
    assert paths() == before


@pytest.mark.parametrize(
    "name", ["../../evil.wav", "/etc/evil.wav", "..\\..\\evil.wav", "a\0b.wav", "x" * 900, "", "."]
)
def test_names_never_reach_the_file_system(shared_studio, song, outside, name):
    response = shared_studio.upload(song.read_bytes(), name=name)
    assert response.status_code == 201
    job = shared_studio.wait(response.json()["id"])
    assert "/" not in job["name"]
    assert len(job["name"]) <= 200
    assert {path.name for path in (shared_studio.folder / "jobs" / job["id"]).iterdir()} <= {
        "source", "job.json", "stem-0.f32", "stem-1.f32",
    }  # fmt: skip
    disposition = shared_studio.get(f"/api/jobs/{job['id']}/mix").headers["content-disposition"]
    assert "/" not in disposition.replace("utf-8''", "")


@pytest.mark.parametrize("identifier", ["..", "%2e%2e", "..%2f..%2fetc", "0" * 16, "x", "0123456789abcdeg"])
def test_jobs_that_there_are_not(shared_studio, identifier):
    for path in ("", "/events", "/stems/vocals/samples", "/mix", "/stems.zip"):
        assert shared_studio.get(f"/api/jobs/{identifier}{path}").status_code == 404
    assert shared_studio.request("DELETE", f"/api/jobs/{identifier}").status_code in (404, 405)


@pytest.mark.parametrize("path", ["/../app.py", "/..%2fapp.py", "/%2e%2e/app.py", "//etc/passwd"])
def test_the_page_has_no_way_out(shared_studio, path):
    with socket.create_connection(("127.0.0.1", shared_studio.port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"404" in answer.split(b"\r\n")[0]


def disguises():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("song.wav", b"RIFF")
    return {
        "a zip": archive.getvalue(),
        "text": b"hello " * 1000,
        "a playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "a list of files": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        "a description of streams": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 96\n",
        "a header without a song": b"RIFF\xff\xff\xff\xffWAVE",
    }


@pytest.mark.parametrize("name", disguises())
def test_only_audio_is_decoded(shared_studio, outside, name):
    before = shared_studio.get("/api/jobs").json(), sorted((shared_studio.folder / "jobs").iterdir())
    response = shared_studio.upload(disguises()[name])
    assert response.status_code == 415, response.text
    assert response.json()["code"] in ("no_audio", "archive", "playlist")
    assert (shared_studio.get("/api/jobs").json(), sorted((shared_studio.folder / "jobs").iterdir())) == before


def test_empty_oversized_and_endless_uploads(make_studio, tmp_path):
    studio = make_studio("--max_upload", 1, "--max_minutes", 0.5)
    assert studio.upload(b"").status_code == 422
    big = write(tmp_path / "songs" / "big.wav", noise(10 * 44100))
    assert studio.upload(big).status_code == 413
    slow = write(tmp_path / "songs" / "slow.wav", tones(40 * 8000), sample_rate=8000)
    long = studio.upload(slow)
    assert long.status_code == 413
    assert not list((studio.folder / "jobs").iterdir())

    with socket.create_connection(("127.0.0.1", studio.port), timeout=20) as connection:
        connection.sendall(b"POST /api/jobs?name=x HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n" % 65536 + b"\0" * 65536 + b"\r\n"
        answer = b""
        with suppress(OSError):
            for _ in range(1000):
                connection.sendall(chunk)
        with suppress(OSError):
            answer = connection.recv(65536)
    assert b"413" in answer or not answer
    assert not list((studio.folder / "jobs").iterdir())
    assert studio.get("/api/jobs").status_code == 200


def test_a_full_queue(make_held_studio, song):
    studio = make_held_studio(max_queued=2)
    running = studio.upload(song).json()["id"]
    studio.wait_for_stems(running)
    waiting = studio.upload(song).json()["id"]
    refused = studio.upload(song)
    assert refused.status_code == 429
    assert refused.json()["code"] == "queue_full"
    assert {job["id"]: job["state"] for job in studio.get("/api/jobs").json()} == {
        running: "running", waiting: "queued",
    }  # fmt: skip
    assert names_below(studio.folder / "jobs") == {
        path for path in names_below(studio.folder / "jobs") if running in path or waiting in path
    }
    studio.request("POST", f"/api/jobs/{waiting}/cancel")
    assert studio.upload(song).status_code == 201
    assert studio.request("POST", f"/api/jobs/{waiting}/retry").status_code == 429


def test_requests_from_other_sites_are_refused(shared_studio, song):
    before = shared_studio.get("/api/jobs").json()
    for headers in (
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ):
        response = shared_studio.request("POST", "/api/jobs", data=song.read_bytes(), headers=headers)
        assert response.status_code == 403
    assert shared_studio.get("/api/jobs").json() == before
    allowed = {"Origin": shared_studio.root, "Sec-Fetch-Site": "same-origin"}
    parameters = {"model": "toy"}
    response = shared_studio.request("POST", "/api/jobs", params=parameters, data=song.read_bytes(), headers=allowed)
    assert response.status_code == 201


def test_another_name_for_this_machine_is_refused(shared_studio):
    assert shared_studio.get("/api/jobs", headers={"Host": "rebound.example"}).status_code == 421


def test_a_token_guards_a_server_for_others(make_studio, song):
    studio = make_studio("--host", "0.0.0.0")
    token = studio.address.partition("token=")[2]
    assert len(token) > 16
    studio.root = f"http://127.0.0.1:{studio.port}"
    for options in ({}, {"params": {"token": "forged"}}, {"headers": {"Authorization": "Bearer forged"}},
                    {"cookies": {"unweave_token": token[:-1]}}):  # fmt: skip
        assert studio.get("/api/jobs", **options).status_code == 401
        assert studio.get("/", **options).status_code == 401
    assert studio.get("/api/jobs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    page = studio.get("/", params={"token": token})
    assert page.status_code == 200
    assert "httponly" in page.headers["set-cookie"].lower()
    assert studio.get("/api/jobs", cookies=page.cookies.get_dict()).status_code == 200


@pytest.mark.parametrize("model", ["/etc/passwd", "../../x.onnx", "nothing", "toy+/etc/x", "toy*0", ""])
def test_models_are_names(shared_studio, song, model):
    assert shared_studio.upload(song, model=model).status_code == 422


@pytest.mark.parametrize(
    "query", ["gain=tuba:3", "gain=vocals:x", "gain=vocals:nan", "gain=vocals:99", "format=exe", "pan=vocals:7",
              "bit_depth=9", "bitrate=x"]
)  # fmt: skip
def test_mixes_that_make_no_sense(shared_studio, song, query):
    job = shared_studio.wait(shared_studio.upload(song).json()["id"])
    assert shared_studio.get(f"/api/jobs/{job['id']}/mix?{query}").status_code == 422
    shared_studio.no_exports_left()
