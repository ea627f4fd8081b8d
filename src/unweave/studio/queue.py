"""The queue: huey on SQLite, or on Redis when one machine is no longer enough."""

from __future__ import annotations

from typing import Any

from huey import SqliteHuey
from huey.consumer import Consumer

from unweave.studio.settings import Settings
from unweave.studio.store import ACTIVE, JobStore
from unweave.studio.work import OpenSeparator, run_job


class JobQueue:
    """Runs the store's jobs, in their order; what was under way when the server was killed is run again."""

    def __init__(self, settings: Settings, store: JobStore, open_model: OpenSeparator) -> None:
        self._store = store
        self._workers = settings.workers
        self._huey = _huey(settings)

        @self._huey.task()  # type: ignore[untyped-decorator]
        def separate(identifier: str) -> None:
            run_job(store, identifier, open_model)

        self._task = separate
        self._consumer: _EmbeddedConsumer | None = None

    def start(self) -> None:
        """Queue what waits, and begin."""
        self._huey.flush()
        for job in reversed(self._store.all()):
            if job.state in ACTIVE:
                self._store.update(job.id, state="queued", progress=0.0, n_samples=0)
                self.submit(job.id)
        self._consumer = _EmbeddedConsumer(self._huey, workers=self._workers, worker_type="thread", periodic=False,
                                           initial_delay=0.05, max_delay=0.5, check_worker_health=False)  # fmt: skip
        self._consumer.start()

    def submit(self, identifier: str) -> None:
        """Put a job at the end of the queue."""
        self._task(identifier)

    def stop(self) -> None:
        """End; the job under way is run again at the next start."""
        if self._consumer is not None:
            self._consumer.stop()


class _EmbeddedConsumer(Consumer):  # type: ignore[misc]
    """A consumer in a process that minds its signals itself."""

    def _set_signal_handlers(self) -> None:
        pass

    def stop(self, graceful: bool = False) -> None:
        self.stop_flag.set()  # what is under way is run again: there is nothing to wait for


def _huey(settings: Settings) -> Any:
    if settings.redis is not None:
        from huey import RedisHuey

        return RedisHuey("unweave-studio", url=settings.redis, results=False)
    settings.folder.mkdir(parents=True, exist_ok=True)
    return SqliteHuey("unweave-studio", filename=str(settings.folder / "queue.db"), results=False)
