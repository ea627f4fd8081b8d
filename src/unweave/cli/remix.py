"""``unweave remix``: a song with its stems at other levels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave.cli.failures import failures_shown


def remix(
    file: Annotated[Path, typer.Argument(help="The song.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write; its extension is the format.")],
    gain: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--gain", help="STEM=DB, such as vocals=-6; may be repeated."),
    ] = None,
    pan: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--pan", help="STEM=PAN from -1 (left) to 1 (right)."),
    ] = None,
    mute: Annotated[Optional[list[str]], typer.Option("--mute", help="A stem to leave out.")] = None,  # noqa: UP045
    solo: Annotated[Optional[list[str]], typer.Option("--solo", help="Only this stem.")] = None,  # noqa: UP045
    model: Annotated[str, typer.Option("-p", "--params_filename", "--model", help="Model.")] = "spleeter:2stems",
    quality: Annotated[str, typer.Option("-q", "--quality", help="fast, balanced or best.")] = "balanced",
    bit_depth: Annotated[str, typer.Option("--bit_depth", help="Of wav (16, 24, 32f) and flac (16, 24).")] = "16",
    bitrate: Annotated[str, typer.Option("-b", "--bitrate", help="Of lossy formats.")] = "256k",
    accept_licence: Annotated[bool, typer.Option("--accept_licence", help="Consent to a restricting licence.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never open a connection.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show details.")] = False,
) -> None:
    """Mix a song anew: with all gains at 0 it is the song."""
    with failures_shown(verbose):
        from unweave.cli.progress import make_reporter
        from unweave.separation.ensemble import open_separator
        from unweave.separation.output import OutputOptions
        from unweave.separation.remix import Mix, stem_numbers

        gains = stem_numbers(gain or (), "=", "--gain ")
        mix = Mix(gains, tuple(mute or ()), tuple(solo or ()), stem_numbers(pan or (), "=", "--pan "))
        with make_reporter(as_json=False) as reporter:
            separator = open_separator(
                model,
                quality=quality,
                accept_licence=accept_licence,
                offline=offline,
                on_download=reporter.downloading,
            )
            mix.check(separator.stems)
            options = OutputOptions(output.suffix[1:], bitrate, bit_depth)
            separator.remix_file(
                file, output, mix, options, on_progress=lambda progress: reporter.progress(file, progress)
            )
        print(output)
