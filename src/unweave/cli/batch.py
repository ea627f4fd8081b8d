"""``unweave batch``: a catalogue on this machine or on a cluster."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave.cli.failures import EXIT_FAILED, EXIT_INTERRUPTED, failures_shown, interrupted, interrupts_deferred


def batch(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A folder, or an address such as s3://bucket/songs.")],
    target: Annotated[str, typer.Argument(metavar="OUTPUT", help="Where the stems go; the tree is kept.")],
    model: Annotated[str, typer.Option("-p", "--params_filename", "--model", help="Model.")] = "spleeter:2stems",
    address: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--address", help="Of a Ray cluster ('auto': the one here); without it, Ray is started here."),
    ] = None,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--workers", min=1, help="Processes with a model each; without it, one per processor."),
    ] = None,
    codec: Annotated[str, typer.Option("-c", "--codec", help="As for separate.")] = "wav",
    bitrate: Annotated[str, typer.Option("-b", "--bitrate", help="As for separate.")] = "128k",
    filename_format: Annotated[
        str, typer.Option("-f", "--filename_format", help="As for separate.")
    ] = "{filename}/{instrument}.{codec}",
    stems: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--stems", help="Only these stems, separated by commas."),
    ] = None,
    quality: Annotated[str, typer.Option("-q", "--quality", help="exact, fast, balanced or best.")] = "balanced",
    device: Annotated[
        str, typer.Option("--device", help="cpu, cuda or auto; cuda takes a graphics card each.")
    ] = "cpu",
    again: Annotated[bool, typer.Option("--again", help="Also files whose stems are all there.")] = False,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--report", help="One JSON line per file, appended as they come."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show details.")] = False,
) -> None:
    """Separate a catalogue with Ray: workers may die, files are tried again, nothing is done twice."""
    with failures_shown(verbose):
        import importlib.util

        from unweave.errors import OptionError

        if importlib.util.find_spec("ray") is None or importlib.util.find_spec("fsspec") is None:
            raise OptionError("batch needs: pip install 'unweave[cluster]'")
        from unweave.cluster.places import Place
        from unweave.cluster.run import run_on_ray, write_lines
        from unweave.cluster.worker import Result, Work
        from unweave.separation.output import OutputOptions

        work = Work(
            source=Place(source),
            target=Place(target),
            model=model,
            output=OutputOptions(codec, bitrate, filename_format=filename_format),
            stems=tuple(name.strip() for name in stems.split(",")) if stems else None,
            separator={"quality": quality, "device": device, "threads": 1},
        )
        started, shown = time.monotonic(), 0.0
        n_done = 0
        total = 0

        def begin(n_files: int, actors: object) -> None:
            nonlocal total
            total = n_files

        def show(result: Result) -> None:
            nonlocal n_done, shown
            n_done += 1
            if result.error:
                print(f"{result.name}: {result.error}", file=sys.stderr)
            if report is not None:
                with report.open("a", encoding="utf-8") as file:
                    file.write(write_lines(result) + "\n")
            now = time.monotonic()
            if now - shown > 2 or n_done == total:
                shown = now
                left = (now - started) / n_done * (total - n_done)
                print(f"{n_done} of {total} files, {left:.0f} s left", file=sys.stderr, flush=True)

        with interrupts_deferred():
            summary = run_on_ray(
                work,
                address=address,
                workers=workers,
                gpus_per_worker=1.0 if device.startswith("cuda") else 0.0,
                skip_existing=not again,
                on_result=show,
                on_start=begin,
                should_stop=interrupted.is_set,
            )
        print(
            f"{summary.done} done, {summary.skipped} skipped, {len(summary.failed)} failed in {summary.seconds:.1f} s "
            f"(and {summary.start_seconds:.1f} s to start)"
        )
    if interrupted.is_set():
        sys.exit(EXIT_INTERRUPTED)
    if summary.failed:
        raise typer.Exit(EXIT_FAILED)
