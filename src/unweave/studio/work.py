"""What a worker does with a job: separate it, sample by sample visible from outside, until it is done or cancelled."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from unweave.audio.decode import AudioReader
from unweave.errors import Cancelled, UnweaveError
from unweave.separation.ensemble import open_separator
from unweave.separation.progress import Progress
from unweave.separation.separator import Separator
from unweave.studio.samples import StemFiles
from unweave.studio.store import SOURCE, Job, JobStore, NoSuchJobError

log = logging.getLogger(__name__)

OpenSeparator = Callable[[str, str], Separator]


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
                self._loaded = ((model, quality), open_separator(model, quality=quality))
            return self._loaded[1]


def run_job(store: JobStore, identifier: str, open_model: OpenSeparator) -> None:
    """Separate the song of a job; whatever goes wrong becomes its state."""
    try:
        job = store.get(identifier)
    except NoSuchJobError:
        return
    if job.state != "queued":
        return
    try:
        store.update(identifier, state="running", progress=0.0, n_samples=0, error="")
        _separate(store, job, open_model(job.model, job.quality))
    except NoSuchJobError:
        return  # deleted meanwhile
    except Cancelled:
        _end(store, job, "cancelled")
    except UnweaveError as error:
        _end(store, job, "failed", str(error))
    except Exception:
        log.exception("job %s", identifier)
        _end(store, job, "failed", "something went wrong; the server's log says what")


def _separate(store: JobStore, job: Job, separator: Separator) -> None:
    identifier, folder, started = job.id, store.folder(job.id), time.monotonic()

    def report(progress: Progress) -> bool:
        total = progress.total_seconds or progress.done_seconds
        share = min(1.0, progress.done_seconds / max(total, 1e-6))
        left = (time.monotonic() - started) * (1 - share) / share if share > 0 else None
        now = store.get(identifier)
        if now.state != "running" or now.attempt != job.attempt:
            return False
        store.update(identifier, lasting=False, progress=share, seconds_left=left)
        return True

    with (
        AudioReader(folder / SOURCE, only_audio=True) as reader,
        StemFiles(folder, len(separator.stems)) as files,
    ):
        n_samples = 0
        store.update(identifier, stems=separator.stems, sample_rate=reader.sample_rate)
        for part in separator.parts(reader, on_progress=report):
            files.write(part)
            n_samples += part.n_samples
            store.update(identifier, lasting=False, n_samples=n_samples)
    store.update(
        identifier,
        state="done",
        n_samples=n_samples,
        seconds=n_samples / reader.sample_rate,
        progress=1.0,
        seconds_left=0.0,
    )


def _end(store: JobStore, job: Job, state: str, error: str = "") -> None:
    identifier = job.id
    try:
        if store.get(identifier).attempt != job.attempt:
            return
        store.forget_stems(identifier)
        store.update(identifier, state=state, error=" ".join(error.split()), n_samples=0, seconds_left=None)
    except NoSuchJobError:
        pass
