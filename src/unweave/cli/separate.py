"""``unweave separate``: files and folders to stems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave.cli.failures import EXIT_FAILED, failures_shown, interrupted, interrupts_deferred
from unweave.cli.options import (
    DEFAULT_MODEL,
    DEFAULT_QUALITY,
    DEFAULT_TEMPLATE,
    AcceptLicence,
    BitDepth,
    Bitrate,
    Clip,
    Codec,
    Device,
    FilenameFormat,
    Model,
    Mwf,
    Offline,
    Overlap,
    Precision,
    Quality,
    Rule,
    SampleRate,
    Segment,
    Shifts,
    StemNames,
    Tempo,
    Tta,
    Verbose,
    names_in,
)


def separate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Audio files, or folders of audio files.", show_default=False),
    ],
    model: Model = DEFAULT_MODEL,
    output_path: Annotated[
        Path, typer.Option("-o", "--output_path", metavar="FOLDER", help="Folder to write the stems to.")
    ] = Path("stems"),
    filename_format: FilenameFormat = DEFAULT_TEMPLATE,
    codec: Codec = "wav",
    bitrate: Bitrate = "128k",
    offset: Annotated[
        float, typer.Option("-s", "--offset", metavar="SECONDS", help="Start this many seconds into each file.")
    ] = 0.0,
    duration: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option(
            "-d", "--duration", metavar="SECONDS", help="Separate only this many seconds.", show_default="to the end"
        ),
    ] = None,
    track: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--track",
            metavar="NUMBER",
            min=1,
            help="Which audio track to separate, if a file has several.",
            show_default="the file's default",
        ),
    ] = None,
    stems: StemNames = None,
    quality: Quality = DEFAULT_QUALITY,
    residual: Annotated[
        bool, typer.Option("--residual", help="Also write what remains of the mixture as a separate stem.")
    ] = False,
    shifts: Shifts = 1,
    mwf: Mwf = False,
    rule: Rule = None,
    tta: Tta = False,
    segment: Segment = None,
    overlap: Overlap = None,
    bit_depth: BitDepth = "16",
    sample_rate: SampleRate = None,
    clip: Clip = "clamp",
    tempo: Tempo = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search subfolders too.")] = False,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip_existing", help="Skip files that were already separated with the same settings."),
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="NUMBER", min=1, help="Number of files to separate at a time.")
    ] = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    accept_licence: AcceptLicence = False,
    offline: Offline = False,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write a report on every file to this .json or .csv file.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per event.")] = False,
    verbose: Verbose = False,
) -> None:
    """Separate songs into stems: one file per stem, as long as the song and at its sample rate."""
    with failures_shown(verbose):
        from unweave.cli.progress import make_reporter
        from unweave.separation.batch import BatchOptions, find_tasks, separate_files
        from unweave.separation.journal import Journal, settings_of
        from unweave.separation.model_state import model_state
        from unweave.separation.output import OutputOptions
        from unweave.separation.report import check_report, write_report
        from unweave.separation.separator import Separator, Wiener

        options = BatchOptions(
            output=OutputOptions(codec, bitrate, bit_depth, clip, filename_format, sample_rate, None, tempo),  # type: ignore[arg-type]
            stems=names_in(stems),
            offset_seconds=offset,
            duration_seconds=duration,
            track=None if track is None else track - 1,
            skip_existing=skip_existing,
            jobs=jobs,
        )
        tasks = find_tasks(files, output_path, recursive=recursive)
        with make_reporter(as_json=as_json) as reporter:
            wiener: Wiener | None = "track" if mwf else None
            separator = Separator(
                model,
                quality=quality,
                residual=residual,
                shifts=shifts,
                wiener=wiener,
                rule=rule,
                tta=tta,
                segment_seconds=segment,
                overlap=overlap,
                device=device,
                precision=precision,
                accept_licence=accept_licence,
                offline=offline,
                on_download=reporter.downloading,
            )
            separator.stem_names(options.stems)  # unknown stems are refused before anything is written
            if report is not None:
                check_report(report)
            sound = {
                "quality": quality,
                "residual": residual,
                "shifts": shifts,
                "wiener": wiener,
                "precision": precision,
            }
            # What was not given is left out: `unweave batch`, which has no such options, keeps the same journal.
            given = {"rule": rule, "tta": tta or None, "segment_seconds": segment, "overlap": overlap}
            sound |= {name: value for name, value in given.items() if value is not None}
            journal = Journal(output_path, settings_of(options, models=model_state(model), **sound))
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
