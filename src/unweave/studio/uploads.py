"""From the body of a request to a job: within the limits, and only if it is audio."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from unweave.audio.decode import AudioReader
from unweave.audio.recognise import kind_of
from unweave.audio.sources import Source
from unweave.errors import AudioReadError, ConsentError, UnknownModelError, UnweaveError
from unweave.families.quality import find_quality
from unweave.models.added import added_names
from unweave.models.catalogue.official import specs
from unweave.models.consent import require_consent
from unweave.models.resolve import resolve
from unweave.separation.ensemble import parse_ensemble, parse_steps
from unweave.studio.disk import size_of
from unweave.studio.refusals import Refused, reason, refusal_of
from unweave.studio.samples import BYTES_PER_SAMPLE
from unweave.studio.settings import Settings
from unweave.studio.store import SOURCE, Job, JobStore

log = logging.getLogger(__name__)

LONGEST_NAME = 200
OTHER_KINDS = ("empty", "cut_off", "web_page", "archive", "midi", "playlist")  # that have a refusal of their own
STEP_BYTES = 4 << 20  # how much room is taken at once for an upload that does not say how long it is


async def receive(
    body: AsyncIterator[bytes],
    store: JobStore,
    settings: Settings,
    *,
    name: str,
    model: str,
    quality: str,
    size: int,
    accept_licence: bool = False,
) -> Job:
    """Write the body, ``size`` bytes or (0) any number, into a new job. Raises `Refused`; nothing is left then."""
    if size > settings.max_upload_bytes:
        raise _too_large(settings)
    await run_in_threadpool(check_model, model, quality, accept_licence)
    with store.arriving(settings.max_queued) as (identifier, folder):
        await run_in_threadpool(store.disk.promise, folder, size)
        await _write(body, store, folder, settings, size)
        n_samples, sample_rate = await run_in_threadpool(_measure, folder / SOURCE, settings)
        needed = await run_in_threadpool(needed_bytes, folder, model, n_samples / sample_rate, sample_rate)
        await run_in_threadpool(store.disk.promise, folder, needed)
        shown = os.path.basename(name.replace("\\", "/"))[:LONGEST_NAME] or "song"
        job = Job(
            identifier, shown, model, quality,
            seconds=n_samples / sample_rate, sample_rate=sample_rate, reserved_bytes=needed,
        )  # fmt: skip
        try:
            return await run_in_threadpool(store.add, job)
        except OSError as error:
            raise refusal_of(error) from error


def check_model(model: str, quality: str, accept_licence: bool = False) -> None:
    """Raise `Refused` for a model or a quality that there is not; paths on the server are no models.

    A licence that restricts the use of a model must have been accepted before, or is now.
    """
    try:
        find_quality(quality)
        stem_names(model)
        for member in parse_ensemble(model):
            require_consent(resolve(member.model).spec, accept_licence)
    except Refused:
        raise
    except ConsentError as error:
        raise Refused("needs_consent") from error
    except UnknownModelError as error:
        raise Refused("no_model", name=model, **reason(error)) from error
    except UnweaveError as error:
        raise Refused("bad_model", **reason(error)) from error
    except Exception as error:  # a model that somebody added may hold anything
        log.warning("the model %s cannot be used", model, exc_info=True)
        raise Refused("bad_model", **reason(error)) from error


def stem_names(model: str) -> list[str]:
    """All stems that ``model``, or the models of an ensemble, can give; those of each step, where there are several.

    Raises `Refused` for the path of a file.
    """
    every: list[str] = []
    for step in parse_steps(model):
        names: dict[str, None] = {}
        for member in step.members:
            looks_like_a_path = any(sign in member.model for sign in "/\\.")
            if looks_like_a_path and member.model not in specs() and member.model not in added_names():
                raise Refused("bad_model", reason="expected the name of a model, not a path")
            names.update(dict.fromkeys(resolve(member.model).spec.stems))
        every += names
    return every


def needed_bytes(folder: Path, model: str, seconds: float, sample_rate: int) -> int:
    """What the song in ``folder`` takes together with its stems."""
    return size_of(folder / SOURCE) + len(stem_names(model)) * round(seconds * sample_rate) * BYTES_PER_SAMPLE


async def _write(body: AsyncIterator[bytes], store: JobStore, folder: Path, settings: Settings, size: int) -> None:
    n_written, room = 0, size
    try:
        with (folder / SOURCE).open("wb") as file:
            async for part in body:
                n_written += len(part)
                if n_written > settings.max_upload_bytes:
                    raise _too_large(settings)
                if n_written > room:
                    room = n_written + STEP_BYTES
                    try:
                        await run_in_threadpool(store.disk.promise, folder, room)
                    except Refused:  # there may be room for exactly what came
                        room = n_written
                        await run_in_threadpool(store.disk.promise, folder, room)
                file.write(part)
    except OSError as error:
        raise refusal_of(error) from error
    if n_written == 0:
        raise Refused("empty")


def _too_large(settings: Settings) -> Refused:
    return Refused("too_large", mebibytes=settings.max_upload_bytes >> 20)


def _measure(path: Path, settings: Settings) -> tuple[int, int]:
    """How many samples a song has, counted, since headers lie or say nothing, and at which rate.

    Raises `Refused` for what is no audio, and as soon as it turns out to be too long.
    """
    n_samples = 0
    try:
        with AudioReader(path, only_audio=True) as reader:
            for block in reader:
                n_samples += block.shape[1]
                if n_samples > settings.max_seconds * reader.sample_rate:
                    raise Refused("too_long", minutes=f"{settings.max_seconds / 60:g}")
            return n_samples, reader.sample_rate
    except AudioReadError as error:
        code = "damaged" if n_samples else _kind_of(path)
        raise Refused(code, reason=reason(error)["reason"].rpartition(": ")[2]) from error


def _kind_of(path: Path) -> str:
    """The code for a file that is not audio."""
    source = Source(path)
    try:
        kind = kind_of(source)
    finally:
        source.close()
    return kind if kind in OTHER_KINDS else "no_audio"
