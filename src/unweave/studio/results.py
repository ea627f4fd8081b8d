"""What is heard, seen, and taken home: samples, pictures, and files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import BackgroundTasks, Depends, FastAPI, Query, Response
from fastapi.responses import FileResponse

from unweave.separation.mix import Mix, stem_numbers
from unweave.separation.output import OutputOptions
from unweave.studio import samples
from unweave.studio.export import export_all, export_bytes, export_mix, export_project, require_done, safe_name
from unweave.studio.pictures import MOST_BYTES, picture_file, spectrogram
from unweave.studio.refusals import Refused
from unweave.studio.store import Job, JobStore

MOST_SAMPLES = 1 << 20  # that one request for raw samples gets

Format = Annotated[str, Query(max_length=20, description="wav, flac, mp3, m4a, ogg, opus")]
BitDepth = Annotated[str, Query(max_length=20, description="Bits per sample: 16, 24 or 32f for wav, 16 or 24 for flac")]
Bitrate = Annotated[str, Query(max_length=20, description="Bitrate of the other formats, such as 256k")]
Levels = Annotated[list[str] | None, Query(description="STEM:NUMBER")]
Names = Annotated[list[str] | None, Query(description="STEM")]


def _sensitivities(sensitivity: Levels = None) -> dict[str, float]:
    return stem_numbers(sensitivity or (), ":")


Sensitivities = Annotated[dict[str, float], Depends(_sensitivities)]


def _mix(
    sensitivities: Sensitivities, gain: Levels = None, pan: Levels = None, mute: Names = None, solo: Names = None
) -> Mix:
    gains, pans = (stem_numbers(given or (), ":") for given in (gain, pan))
    return Mix(gains, tuple(mute or ()), tuple(solo or ()), pans, sensitivities)


Mixer = Annotated[Mix, Depends(_mix)]


def _binary(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}}}


def add_results(app: FastAPI, store: JobStore) -> None:
    """The routes for the results of a job."""

    def place(identifier: str, stem: str) -> tuple[Job, Path, int]:
        job = store.get(identifier)
        if stem not in job.stems:
            raise Refused("no_stem")
        return job, store.folder(identifier), job.stems.index(stem)

    @app.get(
        "/api/jobs/{identifier}/stems/{stem}/samples",
        response_class=Response,
        responses=_binary("application/octet-stream"),
    )
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
    def peaks(
        identifier: str, stem: str, points: Annotated[int, Query(ge=1, le=samples.KEPT_POINTS)] = 800
    ) -> list[float]:
        """The waveform's height from 0 to 1 in so many stretches."""
        job, folder, number = place(identifier, stem)
        if job.n_samples == 0:
            return []
        if job.state == "done":
            return samples.kept_peaks(folder, number, job.n_samples, points)
        return samples.peaks(folder, number, job.n_samples, points)

    @app.get(
        "/api/jobs/{identifier}/stems/{stem}/spectrogram.png",
        response_class=Response,
        responses=_binary("image/png"),
    )
    def picture(identifier: str, stem: str) -> Response:
        """The spectrogram of a finished stem: white, with its level as opacity."""
        job, folder, number = place(identifier, stem)
        require_done(job)
        with store.disk.promised(picture_file(folder, number), MOST_BYTES):
            path = spectrogram(folder, number, job.n_samples, job.sample_rate)
        return Response(path.read_bytes(), media_type="image/png")

    def exported(
        job: Job, options: OutputOptions, name: str, tasks: BackgroundTasks, write: Callable[[Path], Path],
        n_files: int = 1,
    ) -> FileResponse:  # fmt: skip
        """What ``write`` writes, sent under ``name`` and forgotten."""
        require_done(job)
        folder = store.export_folder()
        try:
            with store.disk.promised(folder, n_files * export_bytes(job, options)):
                path = write(folder / f"export{Path(name).suffix}")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        tasks.add_task(shutil.rmtree, folder, ignore_errors=True)
        return FileResponse(path, filename=name, background=tasks)

    @app.get("/api/jobs/{identifier}/mix", response_class=FileResponse, responses=_binary("application/octet-stream"))
    def mix(
        identifier: str,
        tasks: BackgroundTasks,
        chosen: Mixer,
        format: Format = "wav",
        bit_depth: BitDepth = "16",
        bitrate: Bitrate = "256k",
    ) -> FileResponse:
        """The mix as heard: ``gain=vocals:-6``, ``pan=drums:0.5``, ``mute=…`` and so on may be repeated."""
        options = OutputOptions(format, bitrate, bit_depth)
        job, folder = store.get(identifier), store.folder(identifier)
        heard = " + ".join(stem for stem in job.stems if chosen.is_heard(stem)) or "silence"
        name = f"{safe_name(job.name)} ({heard}).{options.format.extension}"
        return exported(job, options, name, tasks, lambda path: export_mix(job, folder, chosen, options, path))

    @app.get(
        "/api/jobs/{identifier}/project", response_class=FileResponse, responses=_binary("application/octet-stream")
    )
    def project(
        identifier: str,
        tasks: BackgroundTasks,
        chosen: Mixer,
        format: Annotated[str, Query(max_length=20, description="dawproject, rpp")] = "dawproject",
        bit_depth: BitDepth = "24",
        tempo: Annotated[
            float | None, Query(description="Beats per minute; by default that of the song's tags")
        ] = None,
    ) -> FileResponse:
        """A project for a DAW with the stems as tracks, and the faders as in a mix; of REAPER, an archive with both."""
        options = OutputOptions(format, bit_depth=bit_depth, tempo=tempo)
        job, folder = store.get(identifier), store.folder(identifier)
        name = f"{safe_name(job.name)}.{'dawproject' if options.format.is_one_file else 'zip'}"
        # The archive grows while the files that go into it are still there.
        n_files = len(job.stems) + 1
        return exported(
            job, options, name, tasks, lambda path: export_project(job, folder, chosen, options, path), n_files
        )

    @app.get("/api/jobs/{identifier}/stems.zip", response_class=FileResponse, responses=_binary("application/zip"))
    def everything(
        identifier: str,
        tasks: BackgroundTasks,
        sensitivities: Sensitivities,
        format: Format = "wav",
        bit_depth: BitDepth = "16",
        bitrate: Bitrate = "256k",
    ) -> FileResponse:
        """All stems in one archive, with these sensitivities."""
        options = OutputOptions(format, bitrate, bit_depth)
        job, folder = store.get(identifier), store.folder(identifier)
        name = f"{safe_name(job.name)} (stems).zip"
        # The archive grows while the files that go into it are still there.
        n_files = len(job.stems) + 1
        return exported(
            job, options, name, tasks, lambda path: export_all(job, folder, sensitivities, options, path), n_files
        )
