"""``unweave ensemble``: several versions of one stem, as one file."""

from __future__ import annotations

from pathlib import Path

from unweave.cli import options as shared
from unweave.cli.commands import PATH, argument, command, option
from unweave.cli.console import shown_path
from unweave.cli.failures import failures_shown


@command("ensemble", short_help="Combine several versions of one stem.")
@argument("files", "FILE...", "Versions of one stem, equally long.", type=PATH, nargs=-1, required=True)
@option(
    "-o",
    "--output",
    placeholder="FILE",
    type=PATH,
    required=True,
    help="File to write, such as vocals.flac; its extension decides the format.",
)
@option(
    "--rule",
    placeholder="RULE",
    default="avg_wave",
    help="avg_wave, median_wave, min_wave, max_wave, avg_fft, median_fft, min_fft, max_fft, uvr_min_spec, "
    "uvr_max_spec; phase_fix takes the loudness from the first and the phases from the second file.",
)
@option(
    "--weights",
    placeholder="NUMBERS",
    help="How much each file counts in a mean, such as 2,1.",
    show_default="all the same",
)
@shared.bit_depth
@shared.bitrate("256k")
@shared.sample_rate
@shared.clip
@shared.verbose
def ensemble(
    files: tuple[Path, ...],
    output: Path,
    rule: str,
    weights: str | None,
    bit_depth: str,
    bitrate: str,
    sample_rate: int | None,
    clip: str,
    verbose: bool,
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
        print(shown_path(output))
