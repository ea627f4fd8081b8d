"""``unweave separate``: files and folders to stems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave.cli.failures import EXIT_FAILED, failures_shown, interrupted, interrupts_deferred


def separate(
    files: Annotated[list[Path], typer.Argument(help="Audio files, or folders of them.", show_default=False)],
    model: Annotated[
        str, typer.Option("-p", "--params_filename", "--model", help="Model: see 'unweave models list'.")
    ] = "spleeter:2stems",
    output_path: Annotated[Path, typer.Option("-o", "--output_path", help="Folder that the stems go to.")] = Path(
        "stems"
    ),
    filename_format: Annotated[
        str,
        typer.Option(
            "-f",
            "--filename_format",
            help="Path of each stem; fields: {filename}, {foldername}, {instrument} or {stem}, {codec}.",
        ),
    ] = "{filename}/{instrument}.{codec}",
    codec: Annotated[
        str, typer.Option("-c", "--codec", help="wav, flac, mp3, ogg, opus, m4a, wma; stem.mp4 or vdjstems.")
    ] = "wav",
    bitrate: Annotated[
        str, typer.Option("-b", "--bitrate", help="Of lossy formats; lossless: ALAC in m4a, stem.mp4, vdjstems.")
    ] = "128k",
    offset: Annotated[float, typer.Option("-s", "--offset", help="Start this many seconds into each file.")] = 0.0,
    duration: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option("-d", "--duration", help="Seconds to separate; without it, to the end.", show_default=False),
    ] = None,
    stems: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--stems", help="Only these stems, separated by commas.", show_default=False),
    ] = None,
    quality: Annotated[
        str, typer.Option("-q", "--quality", help="exact (the original's), fast, balanced or best.")
    ] = "balanced",
    residual: Annotated[
        bool, typer.Option("--residual", help="What the stems lack of the mixture as a stem of its own.")
    ] = False,
    shifts: Annotated[int, typer.Option("--shifts", min=1, help="Runs over shifted segments, averaged.")] = 1,
    mwf: Annotated[
        bool, typer.Option("--mwf", help="Multichannel Wiener filter, learnt from the whole song in a first pass.")
    ] = False,
    bit_depth: Annotated[str, typer.Option("--bit_depth", help="Of wav (16, 24, 32f) and flac (16, 24).")] = "16",
    sample_rate: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--sample_rate", help="Of the stems, in Hz; without it, the input's.", show_default=False),
    ] = None,
    clip: Annotated[
        str, typer.Option("--clip", help="Samples beyond full scale: clamp them, or rescale all stems alike.")
    ] = "clamp",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders below folders too.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip_existing", help="Leave files alone whose stems are all there.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Files at a time.")] = 1,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, mps, or auto.")] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="float32, float16 or bfloat16; auto is float32 on the CPU.")
    ] = "auto",
    accept_licence: Annotated[
        bool, typer.Option("--accept_licence", help="Consent to a licence that restricts the use of the weights.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never open a connection.")] = False,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--report", help="Write what became of each file to this .json or .csv.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event on stdout.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show details and tracebacks.")] = False,
) -> None:
    """Take songs apart into stems: one file per stem, as long as the song, at its sample rate."""
    with failures_shown(verbose):
        from unweave.cli.progress import make_reporter
        from unweave.separation.batch import BatchOptions, find_tasks, separate_files
        from unweave.separation.ensemble import open_separator
        from unweave.separation.journal import Journal, check_report, settings_of, write_report
        from unweave.separation.output import OutputOptions
        from unweave.separation.separator import Wiener

        options = BatchOptions(
            output=OutputOptions(codec, bitrate, bit_depth, clip, filename_format, sample_rate),  # type: ignore[arg-type]
            stems=tuple(name.strip() for name in stems.split(",")) if stems else None,
            offset_seconds=offset,
            duration_seconds=duration,
            skip_existing=skip_existing,
            jobs=jobs,
        )
        if report is not None:
            check_report(report)
        tasks = find_tasks(files, output_path, recursive=recursive)
        with make_reporter(as_json=as_json) as reporter:
            wiener: Wiener | None = "track" if mwf else None
            separator = open_separator(
                model,
                quality=quality,
                residual=residual,
                shifts=shifts,
                wiener=wiener,
                device=device,
                precision=precision,
                accept_licence=accept_licence,
                offline=offline,
                on_download=reporter.downloading,
            )
            sound = {"quality": quality, "residual": residual, "shifts": shifts, "mwf": mwf}
            journal = Journal(output_path, settings_of(model, options, **sound)) if len(tasks) > 1 else None
            with interrupts_deferred():
                outcomes = separate_files(
                    separator,
                    tasks,
                    options,
                    on_progress=reporter.progress,
                    on_outcome=reporter.outcome,
                    interrupted=interrupted,
                    journal=journal,
                )
        if report is not None:
            write_report(outcomes, report)
        n_failed = sum(outcome.status == "failed" for outcome in outcomes)
        if n_failed and len(outcomes) > 1:
            print(f"unweave: {n_failed} of {len(outcomes)} files failed", file=sys.stderr)
    if n_failed:
        raise typer.Exit(EXIT_FAILED)
