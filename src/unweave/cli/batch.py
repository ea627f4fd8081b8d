"""``unweave batch``: a catalogue on this machine or on a cluster."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from unweave.cli.failures import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    fail,
    failures_shown,
    interrupted,
    interrupts_deferred,
)
from unweave.cli.options import (
    DEFAULT_MODEL,
    DEFAULT_QUALITY,
    DEFAULT_TEMPLATE,
    Bitrate,
    Codec,
    Device,
    FilenameFormat,
    Model,
    Quality,
    StemNames,
    Verbose,
    names_in,
)

if TYPE_CHECKING:
    from unweave.cluster.run import Summary


def batch(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A folder of songs, or an address such as s3://bucket/songs.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="Where to write the stems; the subfolders stay the same.")
    ],
    model: Model = DEFAULT_MODEL,
    address: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--address",
            metavar="ADDRESS",
            help="Address of a Ray cluster, or 'auto' for the one on this machine.",
            show_default="start Ray here",
        ),
    ] = None,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--workers",
            metavar="NUMBER",
            min=1,
            help="Number of processes. Each loads the model once.",
            show_default="one per processor",
        ),
    ] = None,
    codec: Codec = "wav",
    bitrate: Bitrate = "128k",
    filename_format: FilenameFormat = DEFAULT_TEMPLATE,
    stems: StemNames = None,
    quality: Quality = DEFAULT_QUALITY,
    device: Device = "cpu",
    again: Annotated[
        bool,
        typer.Option("--again", help="Separate everything, even what has already been separated with these settings."),
    ] = False,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--report", metavar="FILE", help="Append one JSON line per file to this file.", show_default=False
        ),
    ] = None,
    max_failures: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--max_failures",
            metavar="NUMBER",
            min=0,
            help="Stop after more failed files than this.",
            show_default="never stop",
        ),
    ] = None,
    price_per_hour: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--price_per_hour",
            metavar="PRICE",
            min=0,
            help="What all machines together cost in an hour; what 1,000 songs cost is shown at the end.",
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Separate a whole catalogue with Ray. Files whose worker dies are tried again; those that are done are skipped."""
    with failures_shown(verbose):
        import importlib.util

        from unweave.errors import OptionError

        if importlib.util.find_spec("ray") is None or importlib.util.find_spec("fsspec") is None:
            raise OptionError("batch needs: pip install 'unweave[cluster]'")
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
                print(f"{result.name}: {result.error}", file=sys.stderr)
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
        raise typer.Exit(EXIT_FAILED)


def _is_last(summary: Summary) -> bool:
    return summary.is_listed and summary.done + summary.failed == summary.found


def _progress(summary: Summary, seconds: float) -> str:
    """How far a run is; how much is left is known once everything has been listed."""
    n_done = summary.done + summary.failed
    if not summary.is_listed:
        return f"{n_done} files, {n_done / seconds:.3g} a second"
    return f"{n_done} of {summary.found} files, {seconds / n_done * (summary.found - n_done):.0f} s left"
