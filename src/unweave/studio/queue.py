"""The queue: threads that run the store's jobs, turn by turn. It holds nothing that is not in the store."""

from __future__ import annotations

import logging
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
    """Runs the store's jobs, turn by turn; what was under way when the server was killed is run again."""

    def __init__(self, settings: Settings, store: JobStore, open_model: OpenSeparator) -> None:
        self._settings, self._store, self._open_model = settings, store, open_model
        self._changed = threading.Condition(store.lock)  # a job waits, or the server ends
        self._taken: set[str] = set()  # jobs that a worker has in hand
        self._given_up: dict[str, int] = {}  # attempts that could not even be noted; they wait for the next start
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin with what waits; what was under way keeps its turn."""
        for job in self._store.all():
            if job.state in ACTIVE:
                self._store.update(job.id, state="queued", progress=0.0, n_samples=0)
        for number in range(self._settings.workers):
            thread = threading.Thread(target=self._work, name=f"studio-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def wake(self) -> None:
        """Tell the workers that a job waits."""
        with self._changed:
            self._changed.notify()

    def move(self, identifier: str, place: int) -> Job:
        """Put a job that waits at ``place`` of those that wait, 0 being the next. Raises `Refused` for another job."""
        with self._store.lock:
            moved = self._store.get(identifier)
            waiting = self._store.waiting()
            if moved not in waiting:
                raise Refused("not_waiting")
            others = [job for job in waiting if job != moved]
            turn = waiting[0].turn
            for job in [*others[:place], moved, *others[place:]]:
                turn = max(turn + 1, job.turn)
                if job.turn != turn:
                    self._store.update(job.id, turn=turn)
            return self._store.get(identifier)

    def cancel(self, identifier: str) -> Job:
        """Stop a job; one that waits is never begun. Raises `Refused` for one that has ended."""
        with self._store.lock:
            if self._store.get(identifier).state not in ACTIVE:
                raise Refused("ended")
            return self._store.update(identifier, state="cancelled", n_samples=0, seconds_left=None)

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
                    turn=self._store.next_turn(),
                    progress=0.0, n_samples=0, stems=(), reserved_bytes=needed,
                    error="", error_code="", error_values={},
                )  # fmt: skip
        self.wake()
        return job

    def stop(self) -> None:
        """End; a job under way is run again at the next start."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(SECONDS_TO_STOP)

    def _work(self) -> None:
        while (job := self._take()) is not None:
            try:
                run_job(self._store, job.id, self._open_model, self._stopping)
            except (OSError, UnweaveError):  # its job.json cannot be written; the next job may be luckier
                log.exception("job %s", job.id)
                self._given_up[job.id] = job.attempt
            finally:
                with self._changed:
                    self._taken.discard(job.id)
                    self._changed.notify()  # it may have been queued again meanwhile

    def _take(self) -> Job | None:
        """The job whose turn it is, once there is one; None when the server ends."""
        with self._changed:
            while not self._stopping.is_set():
                for job in self._store.waiting():
                    if job.id not in self._taken and self._given_up.get(job.id) != job.attempt:
                        self._taken.add(job.id)
                        return job
                self._changed.wait()
            return None
