"""``unweave remix``: a song with its stems at other levels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave.cli.failures import failures_shown
from unweave.cli.options import (
    DEFAULT_MODEL,
    DEFAULT_QUALITY,
    AcceptLicence,
    BitDepth,
    Bitrate,
    Model,
    Offline,
    Quality,
    Tempo,
    Verbose,
)


def remix(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The song to remix.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write, such as mix.flac; its extension decides the format. mix.dawproject and mix.rpp are "
            "projects with the stems and these settings.",
        ),
    ],
    gain: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--gain",
            metavar="STEM=DB",
            help="STEM=DB: change a stem's level in dB, such as vocals=-6. Can be repeated.",
        ),
    ] = None,
    pan: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--pan", metavar="STEM=PAN", help="STEM=PAN: move a stem between left (-1) and right (1). Can be repeated."
        ),
    ] = None,
    mute: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--mute", metavar="STEM", help="Leave this stem out. Can be repeated."),
    ] = None,
    solo: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--solo", metavar="STEM", help="Keep only this stem. Can be repeated to keep several."),
    ] = None,
    sensitivity: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--sensitivity",
            metavar="STEM=0..1",
            help="STEM=0..1: how much of what stems share goes to this one, such as vocals=0.7; 0.5 is as it was "
            "separated. Can be repeated.",
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    quality: Quality = DEFAULT_QUALITY,
    bit_depth: BitDepth = "16",
    bitrate: Bitrate = "256k",
    tempo: Tempo = None,
    accept_licence: AcceptLicence = False,
    offline: Offline = False,
    verbose: Verbose = False,
) -> None:
    """Remix a song with its stems at other levels. If you change nothing, you get the song back."""
    with failures_shown(verbose):
        from unweave.cli.progress import make_reporter
        from unweave.separation.mix import Mix, stem_numbers
        from unweave.separation.remix import check_target, options_for
        from unweave.separation.separator import Separator

        gains = stem_numbers(gain or (), "=", "--gain ")
        pans = stem_numbers(pan or (), "=", "--pan ")
        sensitivities = stem_numbers(sensitivity or (), "=", "--sensitivity ")
        mix = Mix(gains, tuple(mute or ()), tuple(solo or ()), pans, sensitivities)
        options = options_for(output, bitrate, bit_depth, tempo=tempo)  # type: ignore[arg-type]
        check_target(output, file)
        with make_reporter(as_json=False) as reporter:
            separator = Separator(
                model,
                quality=quality,
                accept_licence=accept_licence,
                offline=offline,
                on_download=reporter.downloading,
            )
            mix.check(separator.stems)
            separator.remix_file(
                file, output, mix, options, on_progress=lambda progress: reporter.progress(file, progress)
            )
        print(output)
