"""From the body of a request to a job: within the limits, and only if it is audio."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import HTTPException

from unweave.audio.decode import AudioReader
from unweave.errors import AudioReadError, UnweaveError
from unweave.families.quality import find_quality
from unweave.models.resolve import resolve
from unweave.separation.ensemble import parse_ensemble
from unweave.studio.settings import Settings
from unweave.studio.store import ACTIVE, SOURCE, Job, JobStore

LONGEST_NAME = 200


async def receive(
    body: AsyncIterator[bytes], store: JobStore, settings: Settings, *, name: str, model: str, quality: str, size: int
) -> Job:
    """Write the body into a new job. Raises `HTTPException`; nothing is left of what is refused."""
    if sum(job.state in ACTIVE for job in store.all()) >= settings.max_queued:
        raise HTTPException(429, "too many songs are waiting; try again later")
    if size > settings.max_upload_bytes:
        raise HTTPException(413, f"the file is larger than {settings.max_upload_bytes >> 20} MiB")
    room = settings.max_disk_bytes - store.used_bytes()
    if size > room or room <= 0:
        raise HTTPException(507, "the studio's disk space is used up; delete some songs")
    check_model(model, quality)
    identifier, folder = store.new_folder()
    try:
        await _write(body, folder / SOURCE, min(settings.max_upload_bytes, room))
        seconds = _probe(folder / SOURCE, settings)
    except BaseException:
        store.discard(folder)
        raise
    shown = os.path.basename(name.replace("\\", "/"))[:LONGEST_NAME] or "song"
    return store.add(Job(identifier, shown, model, quality, seconds=seconds))


def check_model(model: str, quality: str) -> None:
    """Raise `HTTPException` for a model or a quality that there is not; paths on the server are no models."""
    try:
        for member in parse_ensemble(model):
            if "/" in member.model or "\\" in member.model or "." in member.model:
                raise HTTPException(422, "expected the name of a model")
            resolve(member.model)
        find_quality(quality)
    except UnweaveError as error:
        raise HTTPException(422, str(error)) from error


async def _write(body: AsyncIterator[bytes], path: Path, limit: int) -> None:
    n_written = 0
    try:
        with path.open("wb") as file:
            async for part in body:
                n_written += len(part)
                if n_written > limit:
                    raise HTTPException(413, f"the file is larger than {limit >> 20} MiB")
                file.write(part)
    except OSError as error:
        raise HTTPException(507, f"the file cannot be kept: {error.strerror}") from error
    if n_written == 0:
        raise HTTPException(422, "the file is empty")


def _probe(path: Path, settings: Settings) -> float:
    """How long the song seems to be; raises `HTTPException` for what is no audio."""
    try:
        with AudioReader(path, only_audio=True) as reader:
            seconds = reader.expected_seconds or 0.0
            next(iter(reader), None)
    except AudioReadError as error:
        reason = str(error).rpartition(": ")[2]
        raise HTTPException(415, f"this is no audio file that can be read: {reason}") from error
    if seconds > settings.max_seconds:
        raise HTTPException(413, f"the song is longer than {settings.max_seconds / 60:.0f} minutes")
    return seconds
