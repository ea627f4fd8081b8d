"""The API, which the page uses too; ``/docs/openapi.json`` describes it."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import BackgroundTasks, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from unweave import __version__
from unweave.errors import UnweaveError
from unweave.families.quality import PRESETS
from unweave.models.listing import list_models
from unweave.separation.output import OutputOptions
from unweave.separation.remix import Mix, stem_numbers
from unweave.studio import samples
from unweave.studio.export import export_all, export_mix, safe_name
from unweave.studio.pictures import spectrogram
from unweave.studio.queue import JobQueue
from unweave.studio.security import guard
from unweave.studio.settings import Settings
from unweave.studio.store import ACTIVE, Job, JobStore, NoSuchJobError
from unweave.studio.uploads import check_model, receive
from unweave.studio.work import OpenSeparator, Separators

PAGE = Path(__file__).parent / "page"
SECONDS_BETWEEN_EVENTS = 0.2
MOST_SAMPLES = 1 << 20  # that one request for raw samples gets


def make_app(settings: Settings, open_model: OpenSeparator | None = None) -> FastAPI:
    """The studio's server for ``settings``; ``open_model`` gives the separators, for tests."""
    store = JobStore(settings.folder)
    queue = JobQueue(settings, store, open_model or Separators())

    async def forget() -> None:
        while True:
            store.forget_older_than(settings.keep_days * 86400)
            await asyncio.sleep(3600)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queue.start()
        forgetting = asyncio.create_task(forget())
        yield
        forgetting.cancel()
        queue.stop()

    app = FastAPI(
        title="unweave studio", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/docs/openapi.json",
    )  # fmt: skip
    app.middleware("http")(guard(settings))
    app.state.store = store

    @app.exception_handler(NoSuchJobError)
    async def missing(_: Request, error: NoSuchJobError) -> Response:
        return JSONResponse({"detail": str(error)}, 404)

    @app.exception_handler(FileNotFoundError)
    async def gone(_: Request, error: FileNotFoundError) -> Response:
        return JSONResponse({"detail": "the job was deleted meanwhile, or begun anew"}, 404)

    @app.exception_handler(UnweaveError)
    async def wrong(_: Request, error: UnweaveError) -> Response:
        return JSONResponse({"detail": str(error)}, 422)

    _add_jobs(app, store, queue, settings)
    _add_results(app, store)
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def _add_jobs(app: FastAPI, store: JobStore, queue: JobQueue, settings: Settings) -> None:
    """Models, and jobs from the upload to their end."""

    @app.get("/api/models")
    def models() -> list[dict[str, Any]]:
        """What songs can be separated with."""
        known = [(model.spec, model.is_here) for model in list_models() if model.spec is not None]
        return [
            {
                "name": spec.name,
                "stems": spec.stems,
                "licence": spec.licence,
                "notes": spec.notes,
                "summary": spec.summary,
                "here": is_here,
                "needs_consent": getattr(spec, "needs_consent", False),
            }
            for spec, is_here in known
        ]

    @app.get("/api/qualities")
    def qualities() -> list[str]:
        """The presets of quality, the quickest first."""
        return list(PRESETS)

    @app.post("/api/jobs", status_code=201)
    async def upload(
        request: Request,
        name: Annotated[str, Query(max_length=1000)] = "song",
        model: Annotated[str, Query(max_length=200)] = "spleeter:2stems",
        quality: Annotated[str, Query(max_length=20)] = "balanced",
    ) -> dict[str, Any]:
        """Separate the audio file in the body; answers with the job."""
        length = request.headers.get("content-length", "0")
        job = await receive(
            request.stream(), store, settings, name=name, model=model, quality=quality,
            size=int(length) if length.isdigit() else 0,
        )  # fmt: skip
        queue.submit(job.id)
        return job.to_json()

    @app.get("/api/jobs")
    def history() -> list[dict[str, Any]]:
        """All jobs, the newest first."""
        return [job.to_json() for job in store.all()]

    @app.get("/api/jobs/{identifier}")
    def job(identifier: str) -> dict[str, Any]:
        """One job."""
        return store.get(identifier).to_json()

    @app.get("/api/jobs/{identifier}/events")
    async def events(identifier: str, request: Request) -> StreamingResponse:
        """The job each time it changes, as server-sent events, until it has ended."""
        store.get(identifier)

        async def stream() -> AsyncIterator[str]:
            last = None
            while not await request.is_disconnected():
                try:
                    now = store.get(identifier)
                except NoSuchJobError:
                    yield "event: deleted\ndata: {}\n\n"
                    return
                if now != last:
                    yield f"data: {json.dumps(now.to_json())}\n\n"
                    last = now
                if now.state not in ACTIVE:
                    return
                await asyncio.sleep(SECONDS_BETWEEN_EVENTS)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.post("/api/jobs/{identifier}/cancel")
    def cancel(identifier: str) -> dict[str, Any]:
        """Stop a job; one that waits is never begun."""
        if store.get(identifier).state not in ACTIVE:
            raise HTTPException(409, "the job has ended already")
        return store.update(identifier, state="cancelled", seconds_left=None).to_json()

    @app.post("/api/jobs/{identifier}/retry")
    def retry(identifier: str, model: str | None = None, quality: str | None = None) -> dict[str, Any]:
        """Separate the same song again, perhaps with another model."""
        known = store.get(identifier)
        if known.state in ACTIVE:
            raise HTTPException(409, "the job has not ended yet")
        check_model(model or known.model, quality or known.quality)
        store.forget_stems(identifier)
        job = store.update(
            identifier, state="queued", progress=0.0, n_samples=0, error="", stems=(),
            model=model or known.model, quality=quality or known.quality, attempt=known.attempt + 1,
        )  # fmt: skip
        queue.submit(identifier)
        return job.to_json()

    @app.delete("/api/jobs/{identifier}", status_code=204)
    def delete(identifier: str) -> None:
        """Remove a job with its song and its stems; one that runs is stopped."""
        store.delete(identifier)


def _add_results(app: FastAPI, store: JobStore) -> None:
    """What is heard, seen, and taken home."""

    def place(identifier: str, stem: str) -> tuple[Job, Path, int]:
        job = store.get(identifier)
        if stem not in job.stems:
            raise HTTPException(404, "there is no such stem")
        return job, store.folder(identifier), job.stems.index(stem)

    @app.get("/api/jobs/{identifier}/stems/{stem}/samples")
    def raw(
        identifier: str,
        stem: str,
        start: Annotated[int, Query(ge=0)] = 0,
        count: Annotated[int, Query(ge=1, le=MOST_SAMPLES)] = 1 << 16,
    ) -> Response:
        """Interleaved stereo, 16 bits, little-endian, as far as it is separated: the page plays these."""
        job, folder, number = place(identifier, stem)
        count = max(0, min(count, job.n_samples - start))
        waveform = samples.read_samples(folder, number, start, count) if count else np.zeros((2, 0), np.float32)
        scaled = np.clip(np.rint(waveform.T * 32768), -32768, 32767).astype("<i2")
        return Response(scaled.tobytes(), media_type="application/octet-stream", headers={"Cache-Control": "no-store"})

    @app.get("/api/jobs/{identifier}/stems/{stem}/peaks")
    def peaks(identifier: str, stem: str, points: Annotated[int, Query(ge=1, le=4000)] = 800) -> list[float]:
        """The waveform's height from 0 to 1 in so many stretches."""
        job, folder, number = place(identifier, stem)
        if job.n_samples == 0:
            return []
        if job.state == "done":
            return samples.kept_peaks(folder, number, job.n_samples, points)
        return samples.peaks(folder, number, job.n_samples, points)

    @app.get("/api/jobs/{identifier}/stems/{stem}/spectrogram.png")
    def picture(identifier: str, stem: str) -> FileResponse:
        """The spectrogram of a finished stem: white, with its level as opacity."""
        job, folder, number = place(identifier, stem)
        if job.state != "done":
            raise HTTPException(409, "the song is not separated yet")
        return FileResponse(spectrogram(folder, number, job.n_samples, job.sample_rate), media_type="image/png")

    def exported(identifier: str, name: str, tasks: BackgroundTasks, write: Callable[[Path], Path]) -> FileResponse:
        """What ``write`` writes, sent under ``name`` and forgotten."""
        folder = Path(tempfile.mkdtemp(prefix="export-", dir=store.folder(identifier)))
        try:
            path = write(folder / f"export{Path(name).suffix}")
        except BaseException:
            shutil.rmtree(folder)
            raise
        tasks.add_task(shutil.rmtree, folder)
        return FileResponse(path, filename=name, background=tasks)

    @app.get("/api/jobs/{identifier}/mix")
    def mix(
        identifier: str,
        tasks: BackgroundTasks,
        format: str = "wav",
        bit_depth: str = "16",
        bitrate: str = "256k",
        gain: Annotated[list[str] | None, Query()] = None,
        pan: Annotated[list[str] | None, Query()] = None,
        mute: Annotated[list[str] | None, Query()] = None,
        solo: Annotated[list[str] | None, Query()] = None,
    ) -> FileResponse:
        """The mix as heard: ``gain=vocals:-6``, ``pan=drums:0.5``, ``mute=…`` and ``solo=…`` may be repeated."""
        options = OutputOptions(format, bitrate, bit_depth)
        job = store.get(identifier)
        gains, pans = (stem_numbers(given or (), ":") for given in (gain, pan))
        chosen = Mix(gains, tuple(mute or ()), tuple(solo or ()), pans)
        heard = " + ".join(stem for stem in job.stems if chosen.is_heard(stem))
        name = f"{safe_name(job.name)} ({heard}).{options.format.extension}"
        folder = store.folder(identifier)
        return exported(identifier, name, tasks, lambda path: export_mix(job, folder, chosen, options, path))

    @app.get("/api/jobs/{identifier}/stems.zip")
    def everything(
        identifier: str, tasks: BackgroundTasks, format: str = "wav", bit_depth: str = "16", bitrate: str = "256k"
    ) -> FileResponse:
        """All stems in one archive."""
        options = OutputOptions(format, bitrate, bit_depth)
        job = store.get(identifier)
        name, folder = f"{safe_name(job.name)} (stems).zip", store.folder(identifier)
        return exported(identifier, name, tasks, lambda path: export_all(job, folder, options, path))
