"""``unweave separate``: files and folders to stems."""

from __future__ import annotations

import sys
from pathlib import Path

from unweave.audio.limits import MOST_TRACKS
from unweave.cli import options as shared
from unweave.cli.commands import PATH, argument, command, flag, number, option
from unweave.cli.failures import EXIT_FAILED, failures_shown, interrupted, interrupts_deferred
from unweave.cli.options import names_in


@command("separate", short_help="Separate songs into stems.")
@argument("files", "FILE...", "Audio files, or folders of audio files.", type=PATH, nargs=-1, required=True)
@shared.model
@option(
    "-o",
    "--output_path",
    placeholder="FOLDER",
    type=PATH,
    default=Path("stems"),
    help="Folder to write the stems to.",
)
@shared.filename_format
@shared.codec
@shared.bitrate("128k")
@shared.offset
@option(
    "-d",
    "--duration",
    placeholder="SECONDS",
    type=number(float),
    help="Separate only this many seconds.",
    show_default="to the end",
)
@option(
    "--track",
    placeholder="NUMBER",
    type=number(int, 1, MOST_TRACKS),
    help="Which audio track to separate, if a file has several.",
    show_default="the file's default",
)
@shared.stems
@shared.quality
@flag("--residual", help="Also write what remains of the mixture as a separate stem.")
@shared.shifts
@shared.mwf
@shared.rule
@shared.tta
@shared.segment
@shared.overlap
@shared.bit_depth
@shared.sample_rate
@shared.clip
@shared.tempo
@flag("-r", "--recursive", help="Search subfolders too.")
@flag("--skip_existing", help="Skip files that were already separated with the same settings.")
@option(
    "-j", "--jobs", placeholder="NUMBER", type=number(int, 1), default=1, help="Number of files to separate at a time."
)
@shared.device()
@shared.precision
@shared.accept_licence
@shared.offline
@option("--report", placeholder="FILE", type=PATH, help="Write a report on every file to this .json or .csv file.")
@flag("--json", "as_json", help="Print one JSON object per event.")
@shared.verbose
def separate(
    files: tuple[Path, ...],
    model: str,
    output_path: Path,
    filename_format: str,
    codec: str,
    bitrate: str,
    offset: float,
    duration: float | None,
    track: int | None,
    stems: str | None,
    quality: str,
    residual: bool,
    shifts: int,
    mwf: bool,
    rule: str | None,
    tta: bool,
    segment: float | None,
    overlap: float | None,
    bit_depth: str,
    sample_rate: int | None,
    clip: str,
    tempo: float | None,
    recursive: bool,
    skip_existing: bool,
    jobs: int,
    device: str,
    precision: str,
    accept_licence: bool,
    offline: bool,
    report: Path | None,
    as_json: bool,
    verbose: bool,
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
        sys.exit(EXIT_FAILED)
