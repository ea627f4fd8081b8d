"""``unweave ensemble``: several versions of one stem, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave.cli.failures import failures_shown
from unweave.cli.options import BitDepth, Bitrate, Clip, SampleRate, Verbose


def ensemble(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Versions of one stem, equally long.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write, such as vocals.flac; its extension decides the format.",
        ),
    ],
    rule: Annotated[
        str,
        typer.Option(
            "--rule",
            metavar="RULE",
            help="avg_wave, median_wave, min_wave, max_wave, avg_fft, median_fft, min_fft, max_fft, uvr_min_spec, "
            "uvr_max_spec; phase_fix takes the loudness from the first and the phases from the second file.",
        ),
    ] = "avg_wave",
    weights: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--weights",
            metavar="NUMBERS",
            help="How much each file counts in a mean, such as 2,1.",
            show_default="all the same",
        ),
    ] = None,
    bit_depth: BitDepth = "16",
    bitrate: Bitrate = "256k",
    sample_rate: SampleRate = None,
    clip: Clip = "clamp",
    verbose: Verbose = False,
) -> None:
    """Combine several versions of one stem, by other models or programs, into one file."""
    with failures_shown(verbose):
        from unweave.cli.progress import make_reporter
        from unweave.errors import OptionError
        from unweave.separation.file_ensemble import combine_files
        from unweave.separation.remix import options_for

        try:
            numbers = None if weights is None else [float(weight) for weight in weights.split(",")]
        except ValueError:
            raise OptionError(f"expected weights such as 2,1, got {weights!r}") from None
        options = options_for(output, bitrate, bit_depth, clip=clip, sample_rate=sample_rate)  # type: ignore[arg-type]
        with make_reporter(as_json=False) as reporter:
            combine_files(
                files,
                output,
                options,
                rule=rule.strip().lower(),
                weights=numbers,
                on_progress=lambda progress: reporter.progress(output, progress),
            )
        print(output)
