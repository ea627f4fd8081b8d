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
    Verbose,
)


def remix(
    file: Annotated[Path, typer.Argument(help="The song to remix.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write, such as mix.flac; its extension decides the format.")
    ],
    gain: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--gain", help="STEM=DB: change a stem's level in dB, such as vocals=-6. Can be repeated."),
    ] = None,
    pan: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--pan", help="STEM=PAN: move a stem between left (-1) and right (1). Can be repeated."),
    ] = None,
    mute: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--mute", help="Leave this stem out. Can be repeated."),
    ] = None,
    solo: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--solo", help="Keep only this stem. Can be repeated to keep several."),
    ] = None,
    model: Model = DEFAULT_MODEL,
    quality: Quality = DEFAULT_QUALITY,
    bit_depth: BitDepth = "16",
    bitrate: Bitrate = "256k",
    accept_licence: AcceptLicence = False,
    offline: Offline = False,
    verbose: Verbose = False,
) -> None:
    """Remix a song with its stems at other levels. If you change nothing, you get the song back."""
    with failures_shown(verbose):
        from unweave.cli.progress import make_reporter
        from unweave.separation.remix import Mix, check_target, options_for, stem_numbers
        from unweave.separation.separator import Separator

        gains = stem_numbers(gain or (), "=", "--gain ")
        mix = Mix(gains, tuple(mute or ()), tuple(solo or ()), stem_numbers(pan or (), "=", "--pan "))
        options = options_for(output, bitrate, bit_depth)  # type: ignore[arg-type]
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
