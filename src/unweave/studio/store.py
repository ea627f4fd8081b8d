"""Jobs on disk: a folder each, whose ``job.json`` is replaced whole at every change, so that a kill loses nothing."""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from unweave.errors import UnweaveError
from unweave.models.files import replace_file

FILE = "job.json"
SOURCE = "source"  # the upload; its own name never reaches the file system
State = Literal["queued", "running", "done", "failed", "cancelled"]
ACTIVE: tuple[State, ...] = ("queued", "running")


class NoSuchJobError(UnweaveError):
    """There is no job of that name."""


@dataclass(frozen=True)
class Job:
    """One song on its way, or done."""

    id: str
    name: str  # of the song, as it was uploaded
    model: str
    quality: str
    state: State = "queued"
    attempt: int = 1  # how often it was queued: a run that was cancelled must not touch the next one
    created: float = field(default_factory=time.time)  # seconds since 1970
    changed: float = field(default_factory=time.time)
    stems: tuple[str, ...] = ()
    sample_rate: int = 0
    n_samples: int = 0  # of each stem so far; final when done
    seconds: float = 0.0  # how long the song seems to be
    progress: float = 0.0  # 0 … 1
    seconds_left: float | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return dataclasses.asdict(self)


class JobStore:
    """All jobs of a folder. Safe to use from several threads; one process at a time writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "jobs"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        for path in self._folder.iterdir():
            job = _read(path / FILE)
            if job is None:
                shutil.rmtree(path, ignore_errors=True)  # an upload that never became a job
            else:
                self._jobs[job.id] = job

    def new_folder(self) -> tuple[str, Path]:
        """An identifier and an empty folder for a job to come."""
        identifier = secrets.token_hex(8)
        folder = self._folder / identifier
        folder.mkdir()
        return identifier, folder

    def folder(self, identifier: str) -> Path:
        """The folder of a job. Raises `NoSuchJobError`; no other string ever becomes a path."""
        if not re.fullmatch(r"[0-9a-f]{16}", identifier) or identifier not in self._jobs:
            raise NoSuchJobError("there is no such job")
        return self._folder / identifier

    def add(self, job: Job) -> Job:
        """Keep a new job."""
        with self._lock:
            self._jobs[job.id] = job
            self._write(job)
        return job

    def get(self, identifier: str) -> Job:
        """The job called ``identifier``. Raises `NoSuchJobError`."""
        with self._lock:
            self.folder(identifier)
            return self._jobs[identifier]

    def all(self) -> list[Job]:
        """Every job, the newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: -job.created)

    def update(self, identifier: str, *, lasting: bool = True, **changes: Any) -> Job:
        """Change a job; without ``lasting`` only in memory, for progress that a restart makes void anyway."""
        with self._lock:
            job = dataclasses.replace(self.get(identifier), changed=time.time(), **changes)
            self._jobs[identifier] = job
            if lasting:
                self._write(job)
        return job

    def delete(self, identifier: str) -> None:
        """Remove a job with all that belongs to it."""
        with self._lock:
            folder = self.folder(identifier)
            del self._jobs[identifier]
        trash = folder.with_name(f".{folder.name}")
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    def forget_stems(self, identifier: str) -> None:
        """Remove what a job has come to so far, and keep its song."""
        for path in self.folder(identifier).glob("stem-*"):
            path.unlink(missing_ok=True)

    def discard(self, folder: Path) -> None:
        """Remove a folder that never became a job."""
        shutil.rmtree(folder, ignore_errors=True)

    def used_bytes(self) -> int:
        """What all jobs take on the disk."""
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())

    def forget_older_than(self, seconds: float) -> list[str]:
        """Delete finished jobs that nobody changed for so long; returns their names."""
        limit = time.time() - seconds
        old = [job.id for job in self.all() if job.state not in ACTIVE and job.changed < limit]
        for identifier in old:
            self.delete(identifier)
        return old

    def _write(self, job: Job) -> None:
        replace_file(self._folder / job.id / FILE, json.dumps(job.to_json()).encode())


def _read(path: Path) -> Job | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Job(**{**values, "stems": tuple(values["stems"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
