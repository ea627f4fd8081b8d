"""One job, several workers: each run happens once, and whoever writes the files has them to himself."""

import threading

import numpy as np
import pytest

from tests.helpers.windows import windows_rules
from tests.studio.test_limits import encoded
from unweave.errors import AudioReadError, Cancelled, DownloadError, ModelError, OptionError
from unweave.separation.progress import Progress
from unweave.studio.queue import JobQueue
from unweave.studio.refusals import Refused
from unweave.studio.settings import Settings
from unweave.studio.store import Job, JobStore
from unweave.studio.work import run_job
from unweave.types import Stems


class Gated:
    """Stems of which the second part waits for ``gate``; ``begun`` is set once the first is written."""

    stems = ("vocals", "rest")

    def __init__(self, value=0.5):
        self.begun, self.gate, self.value = threading.Event(), threading.Event(), value

    def part(self):
        return Stems(dict.fromkeys(self.stems, np.full((2, 8000), self.value, np.float32)), 8000)

    def parts(self, reader, *, on_progress):
        yield self.part()
        self.begun.set()
        assert self.gate.wait(300)
        if not on_progress(Progress(1.0, 2.0)):
            raise Cancelled
        yield self.part()


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path)


@pytest.fixture
def queue(tmp_path, store):
    return JobQueue(Settings(folder=tmp_path), store, None)


@pytest.fixture
def job(store):
    identifier, folder = store.new_folder()
    (folder / "source").write_bytes(encoded(2))
    return store.add(Job(identifier, "song", "unweave:4stems", "balanced", seconds=2.0, sample_rate=8000))


@pytest.fixture
def running(store, job):
    """A thread that runs the job and waits in the middle of it."""
    separator = Gated()
    thread = threading.Thread(target=run_job, args=(store, job.id, lambda model, quality: separator))
    thread.separator = separator
    thread.start()
    assert separator.begun.wait(300)
    yield thread
    separator.gate.set()
    thread.join()


def finish(thread):
    thread.separator.gate.set()
    thread.join()


def test_a_job_runs_once_however_many_workers_take_it(store, job):
    opened, n_workers = [], 16
    barrier = threading.Barrier(n_workers)

    def open_model(model, quality):
        opened.append(model)
        separator = Gated()
        separator.gate.set()
        return separator

    def work():
        barrier.wait()
        run_job(store, job.id, open_model)

    workers = [threading.Thread(target=work) for _ in range(n_workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(opened) == 1
    assert store.get(job.id).state == "done"


def test_of_many_who_retry_one_does(store, queue, job):
    store.update(job.id, state="failed")
    barrier, outcomes = threading.Barrier(8), []

    def retry():
        barrier.wait()
        try:
            outcomes.append(queue.retry(job.id).attempt)
        except Refused as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=retry) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == sorted(["2", *["not_ended"] * 7])


def test_what_is_cancelled_at_the_last_moment_stays_cancelled(store, queue, job):
    class Late(Gated):
        def parts(self, reader, *, on_progress):
            yield self.part()
            queue.cancel(job.id)

    run_job(store, job.id, lambda model, quality: Late())
    assert store.get(job.id).state == "cancelled"
    assert not list(store.folder(job.id).glob("stem-*"))


def test_what_is_cancelled_has_nothing_to_be_heard(store, queue, running, job):
    """Whoever watches hears no more of it, and the stems go when the run notices."""
    store.update(job.id, n_samples=4096)
    assert queue.cancel(job.id).n_samples == 0
    finish(running)
    assert store.get(job.id).n_samples == 0


def test_what_is_done_cannot_be_cancelled(store, queue, running, job):
    finish(running)
    with pytest.raises(Refused, match="already ended"):
        queue.cancel(job.id)
    assert store.get(job.id).state == "done"


def test_a_retry_waits_for_the_run_before_it(store, queue, running, job):
    """Both write the same files: the second begins when the first has closed them."""
    queue.cancel(job.id)
    queue.retry(job.id)
    second = Gated(value=0.25)
    second.gate.set()
    thread = threading.Thread(target=run_job, args=(store, job.id, lambda model, quality: second))
    thread.start()
    assert not second.begun.is_set()
    finish(running)
    thread.join()
    now = store.get(job.id)
    assert (now.state, now.attempt, now.n_samples) == ("done", 2, 16000)
    raw = np.fromfile(store.folder(job.id) / "stem-0.f32", np.float32)
    assert np.array_equal(raw, np.full(32000, 0.25, np.float32))


def test_a_running_job_is_deleted_where_open_files_cannot_be(tmp_path, store, running, job):
    folder = store.folder(job.id)
    with windows_rules():
        with pytest.raises(PermissionError):  # the rules hold
            (folder / "stem-0.f32").unlink()
        store.delete(job.id)
        assert store.all() == []
        finish(running)
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_running_job_is_begun_anew_where_open_files_cannot_be_removed(store, queue, running, job):
    with windows_rules():
        queue.cancel(job.id)
        assert queue.retry(job.id).attempt == 2
        second = Gated(value=0.25)
        second.gate.set()
        thread = threading.Thread(target=run_job, args=(store, job.id, lambda model, quality: second))
        thread.start()
        finish(running)
        thread.join()
    assert store.get(job.id).state == "done"


def test_what_is_open_elsewhere_is_removed_later(tmp_path, store, job):
    folder = store.folder(job.id)
    with windows_rules():
        with (folder / "source").open("rb"):
            store.delete(job.id)
            assert (folder / "source").exists()
            assert JobStore(tmp_path).all() == []  # a server that starts meanwhile does not know it either
        store.sweep()
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_server_that_ends_leaves_its_job_for_the_next(tmp_path, store, running, job):
    stopping = threading.Event()
    store.update(job.id, state="cancelled")
    finish(running)
    store.update(job.id, state="queued", attempt=2)
    separator = Gated()
    thread = threading.Thread(target=run_job, args=(store, job.id, lambda model, quality: separator, stopping))
    thread.start()
    assert separator.begun.wait(300)
    stopping.set()
    separator.gate.set()
    thread.join()
    assert JobStore(tmp_path).get(job.id).state == "running"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            ModelError("it is\nbroken"),
            "bad_model",
            "This model cannot be used. The program says: “it is broken”.",
        ),
        (OptionError("so"), "failed", "The separation failed. The program says: “so”."),
        (DownloadError("no route"), "no_download", "connection"),
        (AudioReadError("cannot read x: it ends"), "damaged", "This file is damaged."),
        (OSError(28, "No space left on device"), "disk_full", "delete some songs"),
        (OSError(5, "Input/output error"), "disk_error", "“Input/output error”"),
        (MemoryError(), "no_memory", "not enough memory"),
        (RuntimeError("BFCArena: Failed to allocate memory"), "no_memory", "not enough memory"),
        (ImportError("DLL load failed."), "failed", "The separation failed. The program says: “DLL load failed”."),
        (ZeroDivisionError(), "broken", "log"),
    ],
)
def test_a_run_that_fails_says_so_in_a_sentence(store, job, error, code, said):
    def open_model(model, quality):
        raise error

    run_job(store, job.id, open_model)
    now = store.get(job.id)
    assert (now.state, now.error_code) == ("failed", code)
    assert said in now.error
    assert "\n" not in now.error


def test_a_worker_outlives_a_job_that_cannot_be_kept(tmp_path, store, job, monkeypatch):
    other = store.add(Job(store.new_folder()[0], "other", "unweave:4stems", "balanced"))
    (store.folder(other.id) / "source").write_bytes(encoded(2))
    write = JobStore._write

    def failing(self, job_):
        if job_.id == job.id:
            raise OSError(5, "input/output error")
        write(self, job_)

    separator = Gated()
    separator.gate.set()
    queue = JobQueue(Settings(folder=tmp_path), store, lambda model, quality: separator)
    queue.start()
    monkeypatch.setattr(JobStore, "_write", failing)
    assert separator.begun.wait(300)
    queue.stop()
    assert store.get(other.id).state in ("running", "done")
