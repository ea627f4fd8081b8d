"""The server as a whole: its API, which ``/docs/openapi.json`` describes, and the page, which uses the same API."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from unweave import __version__
from unweave.errors import AudioWriteError, UnweaveError
from unweave.studio.choices import add_choices
from unweave.studio.jobs import add_jobs
from unweave.studio.page_files import PageFiles
from unweave.studio.queue import JobQueue
from unweave.studio.refusals import NO_ROOM, REFUSALS, Refused, reason, refusal_of
from unweave.studio.results import add_results
from unweave.studio.security import guard
from unweave.studio.settings import Settings
from unweave.studio.store import JobStore, NoSuchJobError
from unweave.studio.work import OpenSeparator, Separators

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
SECONDS_BETWEEN_SWEEPS = 3600


class Refusal(BaseModel):
    """Why a request was refused."""

    detail: str
    code: str
    values: dict[str, str | int]


def make_app(settings: Settings, open_model: OpenSeparator | None = None) -> FastAPI:
    """The studio's server for ``settings``; ``open_model`` gives the separators, for tests."""
    store = JobStore(settings.folder, settings.max_disk_bytes)
    queue = JobQueue(settings, store, open_model or Separators())

    async def forget() -> None:
        while True:
            try:
                store.forget_older_than(settings.keep_days * 86400)
                store.sweep()
            except OSError:
                log.exception("cannot delete old songs")
            await asyncio.sleep(SECONDS_BETWEEN_SWEEPS)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queue.start()
        forgetting = asyncio.create_task(forget())
        yield
        forgetting.cancel()
        app.state.stopping.set()
        await asyncio.to_thread(queue.stop)

    statuses = sorted({status for status, _ in REFUSALS.values() if status < 500 or status == 507})
    app = FastAPI(
        title="unweave studio", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/docs/openapi.json", responses={status: {"model": Refusal} for status in statuses},
    )  # fmt: skip
    app.middleware("http")(guard(settings))
    app.state.store = store
    app.state.stopping = threading.Event()
    _add_failures(app)
    add_choices(app, store)
    add_jobs(app, store, queue, settings)
    add_results(app, store)
    app.mount("/", PageFiles(directory=PAGE, html=True))
    return app


def _add_failures(app: FastAPI) -> None:
    """Every exception that is raised on purpose becomes a sentence and a status of its own."""

    def answer(refused: Refused) -> Response:
        return JSONResponse(refused.to_json(), refused.status)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return answer(error)

    @app.exception_handler(UnweaveError)
    async def wrong(_: Request, error: UnweaveError) -> Response:
        return answer(Refused("bad_option", **reason(error)))

    @app.exception_handler(AudioWriteError)
    async def unwritten(_: Request, error: AudioWriteError) -> Response:
        if getattr(error.__cause__, "errno", None) in NO_ROOM:
            return answer(Refused("disk_full"))
        what = str(error).rpartition(": ")[2]  # without the path on the server
        return answer(Refused("bad_option", reason=f"the file cannot be written ({what})"))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return answer(Refused("bad_option", reason="; ".join(map(_problem, error.errors()))))

    @app.exception_handler(FileNotFoundError)
    async def gone(_: Request, error: FileNotFoundError) -> Response:
        return answer(NoSuchJobError())  # deleted, or begun anew, while it was read

    @app.exception_handler(OSError)
    async def unusable(_: Request, error: OSError) -> Response:
        if error.errno not in NO_ROOM:
            log.error("the disk cannot be used: %s", error)
        return answer(refusal_of(error))


def _problem(error: Any) -> str:
    """One of pydantic's findings in a few words."""
    place = ".".join(str(part) for part in error["loc"][1:])
    message = str(error["msg"])
    return f"{place}: {message[:1].lower()}{message[1:]}"
