"""The studio's limits hold for what is decoded and written, not for what headers say or what has arrived so far."""

import errno
import io
import struct
import threading

import numpy as np
import pytest
import soundfile

from tests.helpers.asgi import call
from tests.helpers.signals import noise
from tests.studio.conftest import names_below
from unweave.errors import OptionError
from unweave.studio import store as store_module
from unweave.studio.app import make_app
from unweave.studio.disk import Disk, size_of
from unweave.studio.refusals import Refused
from unweave.studio.settings import Settings
from unweave.studio.store import Job, JobStore
from unweave.studio.work import run_job
from unweave.types import Stems

FOUR = "unweave:4stems"  # in the catalogue; nothing is loaded for it here


def encoded(seconds, container="WAV", sample_rate=8000, channels=2):
    file = io.BytesIO()
    soundfile.write(file, noise(round(seconds * sample_rate), channels).T, sample_rate, format=container)
    return file.getvalue()


@pytest.fixture
def make(tmp_path, cache):
    """A server without workers: what is uploaded waits."""
    return lambda **settings: make_app(Settings(folder=tmp_path / "studio", **settings))


def upload(app, body, *, headers=(), **query):
    length = [(b"content-length", str(len(body)).encode())] if isinstance(body, bytes) else []
    return call(app, "POST", "/api/jobs", query={"model": FOUR, **query}, headers=[*length, *headers], body=body)


def flac_that_says(raw, n_samples):
    """A FLAC file whose header states another length; 0 is "unknown"."""
    assert raw[:4] == b"fLaC"
    (packed,) = struct.unpack(">Q", raw[18:26])
    return raw[:18] + struct.pack(">Q", packed >> 36 << 36 | n_samples) + raw[26:]


@pytest.mark.parametrize("stated", [0, 8000, 40 * 8000])
def test_a_song_is_as_long_as_it_is_decoded(make, stated):
    app = make(max_seconds=30)
    long = upload(app, flac_that_says(encoded(40, "FLAC"), stated))
    assert (long.status, long.json()["code"]) == (413, "too_long")
    assert "0.5 minutes" in long.json()["detail"]
    assert names_below(app.state.store._folder) == set()
    short = upload(app, flac_that_says(encoded(20, "FLAC"), stated or 3 * 40 * 8000))
    assert short.status == 201
    assert short.json()["seconds"] == 20


def test_a_wav_that_promises_more_than_it_holds_is_no_longer_than_it_is(make):
    raw = bytearray(encoded(2))
    raw[40:44] = struct.pack("<I", 0x7FFFFFFF)
    assert upload(make(max_seconds=30), bytes(raw)).status == 201


def test_stems_count_before_they_are_there(make):
    """Ten seconds at 8 kHz are 0.3 MB, and four stems of them 2.6 MB."""
    song = encoded(10)
    needed = len(song) + 4 * 80_000 * 8
    refused = upload(make(max_disk_bytes=needed - 1), song)
    assert (refused.status, refused.json()["code"]) == (507, "disk_full")
    app = make(max_disk_bytes=needed)
    assert names_below(app.state.store._folder) == set()
    assert upload(app, song).status == 201
    assert upload(app, song).status == 507  # although the stems of the first are still to come
    job = app.state.store.all()[0]
    call(app, "POST", f"/api/jobs/{job.id}/cancel")
    assert upload(app, song).status == 507
    assert call(app, "POST", f"/api/jobs/{job.id}/retry", query={"model": "unweave:5stems"}).status == 507
    assert app.state.store.get(job.id).state == "cancelled"
    assert call(app, "POST", f"/api/jobs/{job.id}/retry").status == 200
    call(app, "DELETE", f"/api/jobs/{job.id}")
    assert upload(app, song).status == 201


def test_promises_outlive_a_restart(make):
    song = encoded(10)
    limit = len(song) + 4 * 80_000 * 8
    assert upload(make(max_disk_bytes=limit), song).status == 201
    assert upload(make(max_disk_bytes=limit), song).status == 507


def test_an_upload_of_unknown_length_is_counted_as_it_comes(make):
    app = make(max_disk_bytes=1 << 20)
    seen = []

    def parts():
        for _ in range(64):
            seen.append(size_of(app.state.store._folder))
            yield bytes(1 << 16)

    answer = upload(app, parts())
    assert answer.status == 507
    assert max(seen) <= 1 << 20
    assert names_below(app.state.store._folder) == set()


def test_a_run_that_grows_beyond_its_room_fails(tmp_path):
    """A job from before rooms were reserved, or a decoder that finds more than it counted."""
    store = JobStore(tmp_path, limit_bytes=20 << 20)
    identifier, folder = store.new_folder()
    (folder / "source").write_bytes(encoded(2))
    store.add(Job(identifier, "song", "fake", "balanced"))
    largest = []

    class Endless:
        stems = ("vocals", "rest")

        def parts(self, reader, *, on_progress):
            while True:
                largest.append(size_of(tmp_path))
                yield Stems(dict.fromkeys(self.stems, np.zeros((2, 1 << 16), np.float32)), 8000)

    run_job(store, identifier, lambda model, quality: Endless())
    job = store.get(identifier)
    assert (job.state, job.error_code, job.n_samples) == ("failed", "disk_full", 0)
    assert 10 << 20 < max(largest) < 20 << 20
    assert {path.name for path in folder.iterdir()} == {"source", "job.json"}


def done_job(store, seconds=10, stems=("vocals", "rest")):
    identifier, folder = store.new_folder()
    (folder / "source").write_bytes(encoded(seconds))
    for number, _ in enumerate(stems):
        (folder / f"stem-{number}.f32").write_bytes(noise(seconds * 8000).T.tobytes())
    job = Job(identifier, "song.wav", FOUR, "balanced", "done", stems=stems, sample_rate=8000, seconds=seconds,
              n_samples=seconds * 8000)  # fmt: skip
    return store.add(job)


@pytest.mark.parametrize("path", ["mix", "project", "stems.zip", "stems/vocals/spectrogram.png"])
def test_exports_and_pictures_count_too(make, path):
    app = make()
    job = done_job(app.state.store)
    used = app.state.store.disk.used_bytes()
    assert call(app, "GET", f"/api/jobs/{job.id}/{path}").status == 200
    full = make(max_disk_bytes=used + 100_000)
    for picture in full.state.store.folder(job.id).glob("*.png"):
        picture.unlink()
    answer = call(full, "GET", f"/api/jobs/{job.id}/{path}")
    assert (answer.status, answer.json()["code"]) == (507, "disk_full")
    assert size_of(full.state.store._folder) == used


def test_two_at_once_do_not_share_the_same_room(tmp_path):
    disk = Disk(tmp_path, 100, dict, threading.RLock())
    disk.promise(tmp_path / "one", 60)
    with pytest.raises(Refused):
        disk.promise(tmp_path / "two", 60)
    disk.promise(tmp_path / "two", 40)
    (tmp_path / "two").write_bytes(bytes(40))
    assert disk.used_bytes() == 100  # what is kept of a promise is not counted twice
    disk.release(tmp_path / "one")
    assert disk.used_bytes() == 40


def test_what_vanishes_while_it_is_counted_counts_nothing(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "gone").write_bytes(b"12345")
    (tmp_path / "stays").write_bytes(b"123")
    walk = store_module.shutil.os.walk

    def vanishing(path):
        for found in walk(path):
            if found[0].endswith("folder"):
                (tmp_path / "folder" / "gone").unlink()
            yield found

    monkeypatch.setattr("unweave.studio.disk.os.walk", vanishing)
    assert size_of(tmp_path) == 3
    assert size_of(tmp_path / "nothing") == 0


def test_the_queue_is_full_for_uploads_that_arrive_together(tmp_path):
    store = JobStore(tmp_path)
    with store.arriving(2), store.arriving(2):
        with pytest.raises(Refused, match="waiting"), store.arriving(2):
            pass
        assert len(list((tmp_path / "jobs").iterdir())) == 2
    assert list((tmp_path / "jobs").iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_is_said_so(make, monkeypatch, number):
    app = make()
    job = done_job(app.state.store)

    def failing(path, raw):
        raise OSError(number, "the disk fails", str(path))

    monkeypatch.setattr("unweave.studio.store.replace_file", failing)
    monkeypatch.setattr("unweave.studio.samples.replace_file", failing)
    for method, path in (("POST", "retry"), ("GET", "stems/vocals/peaks")):
        assert call(app, method, f"/api/jobs/{job.id}/{path}").status == 507
    assert app.state.store.get(job.id) == job
    assert upload(app, encoded(1)).status == 507
    assert len(list(app.state.store._folder.iterdir())) == 1


@pytest.mark.parametrize(
    "values",
    [{"max_seconds": float("nan")}, {"max_seconds": -1}, {"keep_days": float("inf")}, {"workers": 0},
     {"max_disk_bytes": 0}, {"max_queued": 0}, {"port": 65536}, {"token": ""},
     {"host": "0.0.0.0"}, {"host": "::"}],
)  # fmt: skip
def test_settings_that_make_no_sense(values):
    with pytest.raises(OptionError):
        Settings(**values)
