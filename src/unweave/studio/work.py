"""What a worker does with a job: separate it, sample by sample visible from outside, until it is done or cancelled."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from unweave.audio.decode import AudioReader
from unweave.errors import Cancelled, UnweaveError
from unweave.separation.progress import Progress
from unweave.separation.separator import Separator
from unweave.studio.refusals import Refused, refusal_of
from unweave.studio.samples import BYTES_PER_SAMPLE, StemFiles
from unweave.studio.store import SOURCE, Job, JobStore, NoSuchJobError, State

log = logging.getLogger(__name__)

OpenSeparator = Callable[[str, str], Separator]
MORE_BYTES = 16 << 20  # room that is taken at once where a song is longer than it seemed


class Separators:
    """The model that was used last stays loaded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[tuple[str, str], Separator] | None = None

    def __call__(self, model: str, quality: str) -> Separator:
        """The separator for ``model`` at ``quality``."""
        with self._lock:
            if self._loaded is None or self._loaded[0] != (model, quality):
                self._loaded = None
                self._loaded = ((model, quality), Separator(model, quality=quality))
            return self._loaded[1]


def run_job(
    store: JobStore, identifier: str, open_model: OpenSeparator, stopping: threading.Event | None = None
) -> None:
    """Separate the song of a job, if it waits for that; whatever goes wrong becomes its state.

    Once ``stopping`` is set the run ends and its job stays as it is, for the next start of the server.
    """
    with suppress(NoSuchJobError), store.working(identifier):
        with store.lock:  # of two workers with the same job one sees that it runs
            if store.get(identifier).state != "queued":
                return
            job = store.update(
                identifier,
                state="running",
                progress=0.0,
                n_samples=0,
                error="",
                error_code="",
                error_values={},
                is_incomplete=False,
            )
        try:
            store.forget_stems(identifier)
            _separate(store, job, open_model(job.model, job.quality), stopping or threading.Event())
        except NoSuchJobError:
            return  # deleted meanwhile
        except Cancelled:
            if stopping is None or not stopping.is_set():
                _end(store, job, "cancelled")
        except Exception as error:
            if isinstance(error, OSError):
                log.warning("job %s: %s", identifier, error)
            elif not isinstance(error, UnweaveError):
                log.exception("job %s", identifier)
            _end(store, job, "failed", refusal_of(error))


def _separate(store: JobStore, job: Job, separator: Separator, stopping: threading.Event) -> None:
    identifier, folder, started = job.id, store.folder(job.id), time.monotonic()

    def is_ours() -> bool:
        now = store.get(identifier)
        return now.state == "running" and now.attempt == job.attempt and not stopping.is_set()

    def change(lasting: bool, **changes: object) -> None:
        with store.lock:
            if not is_ours():
                raise Cancelled
            store.update(identifier, lasting=lasting, **changes)

    def report(progress: Progress) -> bool:
        # Headers may lie about the length; when the song was received, it was counted.
        total = job.seconds or progress.total_seconds or progress.done_seconds
        share = min(1.0, progress.done_seconds / max(total, 1e-6))
        left = (time.monotonic() - started) * (1 - share) / share if share > 0 else None
        with suppress(Cancelled):
            change(False, progress=share, seconds_left=left)
        return is_ours()

    room = job.reserved_bytes
    n_bytes = (folder / SOURCE).stat().st_size
    try:
        with (
            AudioReader(folder / SOURCE, only_audio=True) as reader,
            StemFiles(folder, len(separator.stems)) as files,
        ):
            n_samples = 0
            change(True, stems=separator.stems, sample_rate=reader.sample_rate)
            for part in separator.parts(reader, on_progress=report):
                n_bytes += len(separator.stems) * part.n_samples * BYTES_PER_SAMPLE
                if n_bytes > room:
                    room = n_bytes + MORE_BYTES
                    store.disk.promise(folder, room)
                files.write(part)
                n_samples += part.n_samples
                change(False, n_samples=n_samples)
        change(
            True,
            state="done",
            n_samples=n_samples,
            seconds=n_samples / reader.sample_rate,
            progress=1.0,
            seconds_left=0.0,
            run_seconds=time.monotonic() - started,
            is_incomplete=reader.is_incomplete,
        )
    finally:
        store.disk.release(folder)


def _end(store: JobStore, job: Job, state: State, error: Refused | None = None) -> None:
    """Note how a run ended that came to nothing, unless its job was cancelled before, or begun anew."""
    with suppress(NoSuchJobError):
        with suppress(OSError):  # the next run tries again
            store.forget_stems(job.id)
        with store.lock:
            now = store.get(job.id)
            if now.attempt != job.attempt:
                return
            if now.state == "cancelled":
                state, error = "cancelled", None
            code, values = ("", {}) if error is None else (error.code, error.values)
            store.update(
                job.id, state=state, error=str(error or ""), error_code=code, error_values=values,
                n_samples=0, seconds_left=None,
            )  # fmt: skip
