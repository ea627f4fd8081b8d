"""Jobs on disk."""

import dataclasses
import json
import time

import pytest

from tests.helpers.signals import noise
from unweave.studio import samples
from unweave.studio.samples import StemFiles
from unweave.studio.store import Job, JobStore, NoSuchJobError
from unweave.types import Stems


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path)


def added(store, **values):
    identifier, _ = store.new_folder()
    return store.add(Job(identifier, "song", "toy", "balanced", **values))


def test_jobs_are_there_again_after_a_restart(store, tmp_path):
    job = added(store, state="done", stems=("vocals", "bass"))
    assert JobStore(tmp_path).get(job.id) == job


def test_old_songs_are_forgotten_and_running_ones_are_not(store):
    old, new, running = (added(store, state=state) for state in ("done", "done", "running"))
    for job in (old, running):
        store._jobs[job.id] = dataclasses.replace(job, changed=time.time() - 100)
    assert store.forget_older_than(50) == [old.id]
    assert {job.id for job in store.all()} == {new.id, running.id}
    with pytest.raises(NoSuchJobError):
        store.get(old.id)


def test_peaks_are_computed_once(tmp_path, monkeypatch):
    waveform = noise(10_000)
    with StemFiles(tmp_path, 1) as files:
        files.write(Stems({"vocals": waveform}, 44100))
    first = samples.kept_peaks(tmp_path, 0, 10_000, 50)
    assert first[3] == pytest.approx(float(abs(waveform[:, 600:800]).max()), abs=1e-4)
    monkeypatch.setattr(samples, "read_samples", None)
    assert samples.kept_peaks(tmp_path, 0, 10_000, 50) == first


def test_jobs_that_cannot_be_read_stay_where_they_are(store, tmp_path, caplog):
    """They may be of a newer version, or on a disk that fails today; and they hide no other job."""
    good = added(store, state="done")
    for text in ("", "{", "[]", "{}", '{"id": 3}', '{"created": "NaN"}'):
        identifier, folder = store.new_folder()
        (folder / "job.json").write_text(text)
        (folder / "source").write_bytes(b"a song")
    stranger, moved = store.new_folder()
    (moved / "job.json").write_text((store.folder(good.id) / "job.json").read_text())
    again = JobStore(tmp_path)
    assert again.all() == [good]
    assert (again._folder / identifier / "source").exists()
    assert (again._folder / stranger / "job.json").exists()
    assert len(caplog.records) == 7


def test_jobs_of_other_versions_are_read(store, tmp_path):
    job = added(store, state="done")
    path = store.folder(job.id) / "job.json"
    values = json.loads(path.read_text())
    for name in ("reserved_bytes", "error_code", "error_values"):
        del values[name]
    path.write_text(json.dumps({**values, "mood": "blue"}))
    assert JobStore(tmp_path).get(job.id) == job


def test_only_what_is_ours_is_swept_away(store, tmp_path):
    (store._folder / "notes").mkdir()
    (store._folder / "notes" / "mine.txt").write_text("keep")
    store.new_folder()
    (store._folder / ".0123456789abcdef").mkdir()
    JobStore(tmp_path)
    assert [path.name for path in store._folder.iterdir()] == ["notes"]
