"""Jobs on disk: a folder each, whose ``job.json`` is replaced whole at every change, so that a kill loses nothing."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter

from unweave.files import patiently, replace_file
from unweave.studio.disk import Disk
from unweave.studio.refusals import Refused

log = logging.getLogger(__name__)

FILE = "job.json"
SOURCE = "source"  # the upload; its own name never reaches the file system
EXPORT = "export-"  # how the folder of an export begins
IDENTIFIER = re.compile(r"[0-9a-f]{16}")
State = Literal["queued", "running", "done", "failed", "cancelled"]
ACTIVE: tuple[State, ...] = ("queued", "running")


class NoSuchJobError(Refused):
    """There is no job of that name."""

    def __init__(self) -> None:
        super().__init__("no_job")


@dataclass(frozen=True)
class Job:
    """One song on its way, or done."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)

    id: str
    name: str  # of the song, as it was uploaded
    model: str
    quality: str
    state: State = "queued"
    attempt: int = 1  # how often it was queued: a run that was cancelled must not touch the next one
    turn: int = 0  # among the jobs that wait, the lowest is run first
    created: float = field(default_factory=time.time)  # seconds since 1970
    changed: float = field(default_factory=time.time)
    stems: tuple[str, ...] = ()
    sample_rate: int = 0
    n_samples: int = 0  # of each stem so far; final when done
    seconds: float = 0.0  # how long the song is
    progress: float = 0.0  # 0 … 1
    seconds_left: float | None = None
    error: str = ""  # one sentence in English
    error_code: str = ""  # the same for the page, a key of `refusals.REFUSALS`
    error_values: dict[str, str | int] = field(default_factory=dict)
    is_incomplete: bool = False  # sound was missing or damaged in the file; what there was has been separated
    run_seconds: float = 0.0  # that the separation took, without loading the model
    reserved_bytes: int = 0  # that the song and its stems will take

    def to_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return dataclasses.asdict(self)


_JOB = TypeAdapter(Job)


class JobStore:
    """All jobs of a folder, ``limit_bytes`` at most. Safe to use from several threads; one process at a time writes.

    ``lock`` is held around a look at a job and the change that follows from it.
    """

    def __init__(self, folder: Path, limit_bytes: int | None = None) -> None:
        self._folder = folder / "jobs"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self._left = threading.Condition(self.lock)
        self._jobs: dict[str, Job] = {}
        self._busy: set[str] = set()  # whose files are being written
        self._arriving: set[str] = set()  # uploads under way
        self.disk = Disk(self._folder, limit_bytes, self._reserved, self.lock)
        for path in self._folder.iterdir():
            if IDENTIFIER.fullmatch(path.name) and (path / FILE).exists():
                self._take_up(path)
            elif path.name.startswith(EXPORT):  # of a server that was killed
                shutil.rmtree(path, ignore_errors=True)
        self.sweep()

    def n_waiting(self) -> int:
        """How many jobs wait, run, or are being uploaded."""
        with self.lock:
            return len(self._arriving) + sum(job.state in ACTIVE for job in self._jobs.values())

    @contextmanager
    def arriving(self, max_queued: int) -> Iterator[tuple[str, Path]]:
        """An identifier and an empty folder for an upload, which is removed unless it became a job inside.

        Raises `Refused` where ``max_queued`` jobs wait already; uploads under way count.
        """
        with self.lock:
            if self.n_waiting() >= max_queued:
                raise Refused("queue_full")
            identifier, folder = self.new_folder()
            self._arriving.add(identifier)
        try:
            yield identifier, folder
        finally:
            with self.lock:
                self._arriving.discard(identifier)
                is_job = identifier in self._jobs
            self.disk.release(folder)
            if not is_job:
                _clear(folder)

    def new_folder(self) -> tuple[str, Path]:
        """An identifier and an empty folder for a job to come."""
        identifier = secrets.token_hex(8)
        folder = self._folder / identifier
        folder.mkdir()
        return identifier, folder

    def export_folder(self) -> Path:
        """An empty folder for an export; beside the jobs, so that it can still be sent when its job is deleted."""
        return Path(tempfile.mkdtemp(prefix=EXPORT, dir=self._folder))

    def folder(self, identifier: str) -> Path:
        """The folder of a job. Raises `NoSuchJobError`; no other string ever becomes a path."""
        if not IDENTIFIER.fullmatch(identifier) or identifier not in self._jobs:
            raise NoSuchJobError
        return self._folder / identifier

    def add(self, job: Job) -> Job:
        """Keep a new job, at the end of the queue; returns it as it is kept."""
        with self.lock:
            job = dataclasses.replace(job, turn=self.next_turn())
            self._write(job)
            self._jobs[job.id] = job
            self._arriving.discard(job.id)
        return job

    def get(self, identifier: str) -> Job:
        """The job called ``identifier``. Raises `NoSuchJobError`."""
        with self.lock:
            self.folder(identifier)
            return self._jobs[identifier]

    def all(self) -> list[Job]:
        """Every job, the newest first."""
        with self.lock:
            return sorted(self._jobs.values(), key=lambda job: -job.created)

    def waiting(self) -> list[Job]:
        """The jobs that wait, in the order in which they will be run."""
        with self.lock:
            queued = (job for job in self._jobs.values() if job.state == "queued")
            return sorted(queued, key=lambda job: (job.turn, job.created))

    def next_turn(self) -> int:
        """The turn of a job that goes to the end of the queue."""
        with self.lock:
            return 1 + max((job.turn for job in self._jobs.values()), default=0)

    def update(self, identifier: str, *, lasting: bool = True, **changes: Any) -> Job:
        """Change a job; without ``lasting`` only in memory, for progress that a restart makes void anyway."""
        with self.lock:
            job = dataclasses.replace(self.get(identifier), changed=time.time(), **changes)
            if lasting:
                self._write(job)
            self._jobs[identifier] = job
        return job

    @contextmanager
    def working(self, identifier: str) -> Iterator[None]:
        """Inside, the job's files belong to whoever is inside: one at a time.

        So a run that was cancelled has closed its files before the next one begins, and one whose job is deleted
        removes the folder itself when it leaves; Windows removes nothing that is open.
        """
        with self.lock:
            while identifier in self._busy:
                self._left.wait()
            self._busy.add(identifier)
        try:
            yield
        finally:
            with self.lock:
                self._busy.discard(identifier)
                is_deleted = identifier not in self._jobs
                self._left.notify_all()
            if is_deleted and IDENTIFIER.fullmatch(identifier):
                _clear(self._folder / identifier)

    def delete(self, identifier: str) -> None:
        """Remove a job with all that belongs to it; what is still being written goes when its writer has stopped."""
        with self.lock:
            folder = self.folder(identifier)
            (folder / FILE).unlink(missing_ok=True)  # from here on it does not come back, even after a kill
            del self._jobs[identifier]
            is_busy = identifier in self._busy
        if not is_busy:
            _clear(folder)

    def forget_stems(self, identifier: str) -> None:
        """Remove what a job has come to so far, and keep its song. Raises OSError for what stays open elsewhere."""
        for path in self.folder(identifier).glob("stem-*"):
            patiently(path.unlink, missing_ok=True)

    def sweep(self) -> None:
        """Remove what is no job and becomes none: uploads and exports that were cut off, what could not be deleted."""
        for path in list(self._folder.iterdir()):
            name = path.name.removeprefix(".")
            if not IDENTIFIER.fullmatch(name):
                continue  # not ours
            with self.lock:
                is_known = path.name in self._jobs or path.name in self._arriving or path.name in self._busy
                is_gone = not is_known and not (path / FILE).exists()
            if is_gone:
                _clear(path)

    def forget_older_than(self, seconds: float) -> list[str]:
        """Delete finished jobs that nobody changed for so long; returns their names."""
        limit = time.time() - seconds
        forgotten = []
        for job in self.all():
            with self.lock, suppress(NoSuchJobError):
                now = self.get(job.id)
                if now.state not in ACTIVE and now.changed < limit:
                    self.delete(job.id)
                    forgotten.append(job.id)
        return forgotten

    def _take_up(self, folder: Path) -> None:
        """Know the job in ``folder`` again; one that cannot be read stays where it is, for a version that can."""
        try:
            job = _JOB.validate_json((folder / FILE).read_bytes())
        except (OSError, ValueError) as error:
            log.warning("%s is ignored: it cannot be read (%s)", folder / FILE, " ".join(str(error).split()))
            return
        if job.id != folder.name:
            log.warning("%s is ignored: it belongs to another job", folder / FILE)
            return
        self._jobs[job.id] = job
        for path in folder.glob(f"{EXPORT}*"):  # where exports were before
            shutil.rmtree(path, ignore_errors=True)
        for path in folder.glob(".*"):  # half a file of a server that was killed
            with suppress(OSError):
                path.unlink()

    def _reserved(self) -> Mapping[Path, int]:
        with self.lock:
            active = [job for job in self._jobs.values() if job.state in ACTIVE]
            return {self._folder / job.id: job.reserved_bytes for job in active}

    def _write(self, job: Job) -> None:
        replace_file(self._folder / job.id / FILE, json.dumps(job.to_json()).encode())


def _clear(folder: Path) -> None:
    """Remove a folder; what of it is open (on Windows) stays for `JobStore.sweep`."""
    trash = folder.with_name(f".{folder.name.removeprefix('.')}")
    try:
        folder.rename(trash)
    except OSError:
        trash = folder
    shutil.rmtree(trash, ignore_errors=True)
