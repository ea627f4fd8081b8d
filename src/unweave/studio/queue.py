"""The queue: threads that run the store's jobs in their order. It holds nothing that is not in the store."""

from __future__ import annotations

import logging
import queue
import threading

from unweave.errors import UnweaveError
from unweave.studio.refusals import Refused
from unweave.studio.settings import Settings
from unweave.studio.store import ACTIVE, Job, JobStore
from unweave.studio.uploads import check_model, needed_bytes
from unweave.studio.work import OpenSeparator, run_job

log = logging.getLogger(__name__)

SECONDS_TO_STOP = 5.0  # that a run gets to notice that the server ends; it is begun anew at the next start anyway


class JobQueue:
    """Runs the store's jobs, in their order; what was under way when the server was killed is run again."""

    def __init__(self, settings: Settings, store: JobStore, open_model: OpenSeparator) -> None:
        self._settings, self._store, self._open_model = settings, store, open_model
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Queue what waits, and begin."""
        for job in reversed(self._store.all()):
            if job.state in ACTIVE:
                self._store.update(job.id, state="queued", progress=0.0, n_samples=0)
                self.submit(job.id)
        for number in range(self._settings.workers):
            thread = threading.Thread(target=self._work, name=f"studio-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def submit(self, identifier: str) -> None:
        """Put a job at the end of the queue."""
        self._waiting.put(identifier)

    def cancel(self, identifier: str) -> Job:
        """Stop a job; one that waits is never begun. Raises `Refused` for one that has ended."""
        with self._store.lock:
            if self._store.get(identifier).state not in ACTIVE:
                raise Refused("ended")
            return self._store.update(identifier, state="cancelled", seconds_left=None)

    def retry(
        self, identifier: str, model: str | None = None, quality: str | None = None, accept_licence: bool = False
    ) -> Job:
        """Separate a song again, perhaps with another model. Raises `Refused` while it is being separated."""
        with self._store.lock:
            known = self._store.get(identifier)
            if known.state in ACTIVE:
                raise Refused("not_ended")
            if self._store.n_waiting() >= self._settings.max_queued:
                raise Refused("queue_full")
            model, quality = model or known.model, quality or known.quality
            check_model(model, quality, accept_licence)
            folder = self._store.folder(identifier)
            needed = needed_bytes(folder, model, known.seconds, known.sample_rate)
            with self._store.disk.promised(folder, needed):
                job = self._store.update(
                    identifier, state="queued", model=model, quality=quality, attempt=known.attempt + 1,
                    progress=0.0, n_samples=0, stems=(), reserved_bytes=needed,
                    error="", error_code="", error_values={},
                )  # fmt: skip
        self.submit(identifier)
        return job

    def stop(self) -> None:
        """End; a job under way is run again at the next start."""
        self._stopping.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(SECONDS_TO_STOP)

    def _work(self) -> None:
        while (identifier := self._waiting.get()) is not None and not self._stopping.is_set():
            try:
                run_job(self._store, identifier, self._open_model, self._stopping)
            except (OSError, UnweaveError):  # its job.json cannot be written; the next job may be luckier
                log.exception("job %s", identifier)
