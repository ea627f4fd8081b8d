"""Jobs, from the upload to their end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from unweave.studio.queue import JobQueue
from unweave.studio.settings import Settings
from unweave.studio.store import ACTIVE, Job, JobStore, NoSuchJobError
from unweave.studio.uploads import receive

SECONDS_BETWEEN_EVENTS = 0.2
BODY: dict[str, Any] = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}

ModelName = Annotated[str, Query(max_length=200, description="A model, or several joined by +")]
QualityName = Annotated[str, Query(max_length=20, description="One of those that /api/qualities lists")]


def add_jobs(app: FastAPI, store: JobStore, queue: JobQueue, settings: Settings) -> None:
    """The routes for jobs."""

    @app.post("/api/jobs", status_code=201, response_model=Job, openapi_extra=BODY)
    async def upload(
        request: Request,
        name: Annotated[str, Query(max_length=1000)] = "song",
        model: ModelName = "spleeter:2stems",
        quality: QualityName = "balanced",
        accept_licence: bool = False,
    ) -> Job | Response:
        """Separate the audio file in the body, and return the job."""
        length = request.headers.get("content-length", "0")
        size = int(length) if length.isascii() and length.isdigit() else 0
        try:
            job = await receive(
                request.stream(),
                store,
                settings,
                name=name,
                model=model,
                quality=quality,
                size=size,
                accept_licence=accept_licence,
            )
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads
        queue.wake()
        return job

    @app.get("/api/jobs")
    def history() -> list[Job]:
        """All jobs, the newest first."""
        return store.all()

    @app.get("/api/jobs/{identifier}")
    def job(identifier: str) -> Job:
        """One job."""
        return store.get(identifier)

    @app.get("/api/jobs/{identifier}/events", response_class=StreamingResponse, responses=EVENTS)
    async def events(identifier: str, request: Request) -> StreamingResponse:
        """The job each time it changes, as server-sent events, until it has ended."""
        store.get(identifier)

        async def stream() -> AsyncIterator[str]:
            last = None
            while not app.state.stopping.is_set() and not await request.is_disconnected():
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
    def cancel(identifier: str) -> Job:
        """Stop a job; one that waits is never begun."""
        return queue.cancel(identifier)

    @app.post("/api/jobs/{identifier}/move")
    def move(
        identifier: str, place: Annotated[int, Query(ge=0, le=1 << 20, description="0 is the next to be run")]
    ) -> Job:
        """Let a job that waits be run sooner or later than others."""
        return queue.move(identifier, place)

    @app.post("/api/jobs/{identifier}/retry")
    def retry(
        identifier: str,
        model: ModelName | None = None,
        quality: QualityName | None = None,
        accept_licence: bool = False,
    ) -> Job:
        """Separate the same song again, perhaps with another model."""
        return queue.retry(identifier, model, quality, accept_licence)

    @app.delete("/api/jobs/{identifier}", status_code=204)
    def delete(identifier: str) -> None:
        """Remove a job with its song and its stems; one that runs is stopped."""
        store.delete(identifier)
