"""``unweave remix``: a song with its stems at other levels."""

from __future__ import annotations

from pathlib import Path

from unweave.cli import options as shared
from unweave.cli.commands import PATH, argument, command, option
from unweave.cli.console import shown_path
from unweave.cli.failures import failures_shown


@command("remix", short_help="Remix a song with its stems at other levels.")
@argument("file", "FILE", "The song to remix.", type=PATH)
@option(
    "-o",
    "--output",
    placeholder="FILE",
    type=PATH,
    required=True,
    help="File to write, such as mix.flac; its extension decides the format. mix.dawproject and mix.rpp are "
    "projects with the stems and these settings.",
)
@option(
    "--gain",
    placeholder="STEM=DB",
    multiple=True,
    help="STEM=DB: change a stem's level in dB, such as vocals=-6. Can be repeated.",
)
@option(
    "--pan",
    placeholder="STEM=PAN",
    multiple=True,
    help="STEM=PAN: move a stem between left (-1) and right (1). Can be repeated.",
)
@option("--mute", placeholder="STEM", multiple=True, help="Leave this stem out. Can be repeated.")
@option("--solo", placeholder="STEM", multiple=True, help="Keep only this stem. Can be repeated to keep several.")
@option(
    "--sensitivity",
    placeholder="STEM=0..1",
    multiple=True,
    help="STEM=0..1: how much of what stems share goes to this one, such as vocals=0.7; 0.5 is as it was "
    "separated. Can be repeated.",
)
@shared.model
@shared.quality
@shared.bit_depth
@shared.bitrate("256k")
@shared.tempo
@shared.accept_licence
@shared.offline
@shared.verbose
def remix(
    file: Path,
    output: Path,
    gain: tuple[str, ...],
    pan: tuple[str, ...],
    mute: tuple[str, ...],
    solo: tuple[str, ...],
    sensitivity: tuple[str, ...],
    model: str,
    quality: str,
    bit_depth: str,
    bitrate: str,
    tempo: float | None,
    accept_licence: bool,
    offline: bool,
    verbose: bool,
) -> None:
    """Remix a song with its stems at other levels. If you change nothing, you get the song back."""
    with failures_shown(verbose):
        from unweave.cli.progress import make_reporter
        from unweave.separation.mix import Mix, stem_numbers
        from unweave.separation.remix import check_target, options_for
        from unweave.separation.separator import Separator

        gains = stem_numbers(gain, "=", "--gain ")
        pans = stem_numbers(pan, "=", "--pan ")
        sensitivities = stem_numbers(sensitivity, "=", "--sensitivity ")
        mix = Mix(gains, mute, solo, pans, sensitivities)
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
        print(shown_path(output))
