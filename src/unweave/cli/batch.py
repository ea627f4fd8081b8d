"""``unweave batch``: a catalogue on this machine or on a cluster."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from unweave.cli import options as shared
from unweave.cli.commands import PATH, argument, command, file_names, flag, number, option
from unweave.cli.console import visible
from unweave.cli.failures import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    fail,
    failures_shown,
    interrupted,
    interrupts_deferred,
)
from unweave.cli.options import names_in

if TYPE_CHECKING:
    from unweave.cluster.run import Summary


@command("batch", short_help="Separate a whole catalogue with Ray.")
@argument("source", "INPUT", "A folder of songs, or an address such as s3://bucket/songs.", shell_complete=file_names)
@argument("target", "OUTPUT", "Where to write the stems; the subfolders stay the same.", shell_complete=file_names)
@shared.model
@option(
    "--address",
    placeholder="ADDRESS",
    help="Address of a Ray cluster, or 'auto' for the one on this machine.",
    show_default="start Ray here",
)
@option(
    "--workers",
    placeholder="NUMBER",
    type=number(int, 1),
    help="Number of processes. Each loads the model once.",
    show_default="one per processor",
)
@shared.codec
@shared.bitrate("128k")
@shared.filename_format
@shared.stems
@shared.quality
@shared.device("cpu")
@flag("--again", help="Separate everything, even what has already been separated with these settings.")
@option("--report", placeholder="FILE", type=PATH, help="Append one JSON line per file to this file.")
@option(
    "--max_failures",
    placeholder="NUMBER",
    type=number(int, 0),
    help="Stop after more failed files than this.",
    show_default="never stop",
)
@option(
    "--price_per_hour",
    placeholder="PRICE",
    type=number(float, 0),
    help="What all machines together cost in an hour; what 1,000 songs cost is shown at the end.",
)
@shared.verbose
def batch(
    source: str,
    target: str,
    model: str,
    address: str | None,
    workers: int | None,
    codec: str,
    bitrate: str,
    filename_format: str,
    stems: str | None,
    quality: str,
    device: str,
    again: bool,
    report: Path | None,
    max_failures: int | None,
    price_per_hour: float | None,
    verbose: bool,
) -> None:
    """Separate a whole catalogue with Ray. Files whose worker dies are tried again; those that are done are skipped."""
    with failures_shown(verbose):
        import importlib.util

        from unweave.errors import OptionError

        if importlib.util.find_spec("ray") is None or importlib.util.find_spec("fsspec") is None:
            raise OptionError('batch needs: pip install "unweave[cluster]"')
        from unweave.cluster.places import Place
        from unweave.cluster.report import json_line
        from unweave.cluster.run import run_on_ray
        from unweave.cluster.worker import Result, Work
        from unweave.separation.output import OutputOptions
        from unweave.separation.report import append_line, check_lines

        work = Work(
            source=Place(source),
            target=Place(target),
            model=model,
            output=OutputOptions(codec, bitrate, filename_format=filename_format),
            stems=names_in(stems),
            separator={"quality": quality, "device": device, "threads": 1},
        )
        if report is not None:
            check_lines(report)
        started, shown = time.monotonic(), 0.0

        def show(result: Result, summary: Summary) -> None:
            nonlocal shown
            if result.error:
                print(visible(f"{result.name}: {result.error}"), file=sys.stderr)
            if report is not None:
                append_line(report, json_line(result))
            now = time.monotonic()
            if now - shown > 2 or _is_last(summary):
                shown = now
                print(_progress(summary, now - started), file=sys.stderr, flush=True)

        with interrupts_deferred():
            summary = run_on_ray(
                work,
                address=address,
                workers=workers,
                gpus_per_worker=1.0 if device.startswith("cuda") else 0.0,
                skip_existing=not again,
                max_failures=max_failures,
                on_result=show,
                should_stop=interrupted.is_set,
            )
        print(
            f"{summary.done} done, {summary.skipped} skipped, {summary.failed} failed in {summary.seconds:.1f} s "
            f"(plus {summary.start_seconds:.1f} s to start)"
        )
        if price_per_hour is not None and summary.done:
            cost = summary.cost(price_per_hour)
            print(f"cost: {cost:.2f}, or {cost / summary.done * 1000:.4g} per 1,000 songs")
    if interrupted.is_set():
        sys.exit(EXIT_INTERRUPTED)
    if max_failures is not None and summary.failed > max_failures:
        fail(f"stopped after {summary.failed} failed files; the limit is {max_failures}")
    if summary.failed:
        sys.exit(EXIT_FAILED)


def _is_last(summary: Summary) -> bool:
    return summary.is_listed and summary.done + summary.failed == summary.found


def _progress(summary: Summary, seconds: float) -> str:
    """How far a run is; how much is left is known once everything has been listed."""
    n_done = summary.done + summary.failed
    if not summary.is_listed:
        return f"{n_done} files, {n_done / seconds:.3g} a second"
    return f"{n_done} of {summary.found} files, {seconds / n_done * (summary.found - n_done):.0f} s left"
