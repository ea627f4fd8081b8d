"""``unweave evaluate``: a model against true stems."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unweave.cli import options as shared
from unweave.cli.commands import PATH, argument, command, number, option
from unweave.cli.console import visible
from unweave.cli.failures import EXIT_FAILED, fail, failures_shown
from unweave.cli.options import names_in

if TYPE_CHECKING:
    from unweave.evaluation.evaluate import Failure, Scores

DEFAULT_FOLDER = Path("evaluation")


@command("evaluate", short_help="Score a model on tracks whose true stems are known.")
@argument(
    "mus_dir",
    "FOLDER",
    "MUSDB18, MUSDB18-HQ, or a folder that contains a folder of stems for each track.",
    type=PATH,
)
@shared.model
@option(
    "-o",
    "--output_path",
    placeholder="FOLDER",
    type=PATH,
    help="Folder for the scores. By default, a folder in ./evaluation for this model and these settings.",
)
@shared.quality
@shared.mwf
@shared.shifts
@shared.rule
@shared.tta
@shared.segment
@shared.overlap
@shared.device()
@shared.precision
@option(
    "--metrics",
    placeholder="NAMES",
    help="Figures to show, separated by commas: SDR, ISR, SIR, SAR, uSDR, SI-SDR, bleedless, fullness, L1-freq, LSD. "
    "All of them are always computed and saved.",
    show_default="all",
)
@shared.accept_licence
@option(
    "-j",
    "--jobs",
    placeholder="NUMBER",
    type=number(int, 1),
    default=2,
    help="Number of processes that compute scores.",
)
@shared.verbose
def evaluate(
    mus_dir: Path,
    model: str,
    output_path: Path | None,
    quality: str,
    mwf: bool,
    shifts: int,
    rule: str | None,
    tta: bool,
    segment: float | None,
    overlap: float | None,
    device: str,
    precision: str,
    metrics: str | None,
    accept_licence: bool,
    jobs: int,
    verbose: bool,
) -> None:
    """Score a model on tracks whose true stems are known.

    The scores are BSS Eval v4 (the median over windows of one second), SDR and SI-SDR over whole tracks, bleedless,
    fullness and L1-freq from 0 to 100, and the log-spectral distance, where less is better. An evaluation that was
    interrupted continues where it stopped. Tracks that cannot be scored are reported, and the others are still scored.
    """
    with failures_shown(verbose):
        given = {"rule": rule, "tta": tta or None, "segment_seconds": segment, "overlap": overlap}
        given |= {name: value for name, value in (("device", device), ("precision", precision)) if value != "auto"}
        options = {"quality": quality, "shifts": shifts, "accept_licence": accept_licence}
        options |= {name: value for name, value in given.items() if value is not None}
        n_failed = run_evaluation(
            mus_dir, model, output_path, mwf=mwf, jobs=jobs, options=options, metrics=names_in(metrics)
        )
    if n_failed:
        sys.exit(EXIT_FAILED)


def run_evaluation(
    mus_dir: Path,
    model: str,
    output_path: Path | None,
    *,
    mwf: bool,
    jobs: int,
    options: dict[str, Any],
    metrics: Sequence[str] | None = None,
) -> int:
    """Evaluate, show the table, and write scores.csv and scores.png beside each track's JSON.

    Returns how many tracks could not be scored; where that is all of them, no table is shown and no file written.
    """
    import importlib.util

    from unweave.cli.progress import make_reporter
    from unweave.errors import OptionError
    from unweave.evaluation.tracks import find_tracks
    from unweave.separation.separator import Separator, Wiener

    if importlib.util.find_spec("museval") is None or importlib.util.find_spec("matplotlib") is None:
        raise OptionError('evaluation needs: pip install "unweave[evaluate]"')
    from unweave.evaluation.evaluate import METRICS, evaluate
    from unweave.evaluation.origin import folder_name
    from unweave.evaluation.report import write_box_plot, write_csv

    unknown = [name for name in metrics or () if name not in METRICS]
    if unknown:
        raise OptionError(f"expected metrics among {', '.join(METRICS)}, got {', '.join(unknown)}")
    tracks = find_tracks(mus_dir)
    with make_reporter(as_json=False) as reporter:
        wiener: Wiener | None = "track" if mwf else None
        separator = Separator(model, wiener=wiener, on_download=reporter.downloading, **options)
    folder = output_path or DEFAULT_FOLDER / folder_name(separator.settings)

    failures: list[Failure] = []

    def show_failure(failure: Failure) -> None:
        failures.append(failure)
        fail(f"{failure.track}: {failure.reason}")

    scores = evaluate(separator, tracks, folder, jobs=jobs, on_scores=_show_track, on_failure=show_failure)
    if scores:
        try:
            write_csv(scores, folder / "scores.csv")
            write_box_plot(scores, folder / "scores.png")
        except OSError as error:
            raise OptionError(f"cannot write the scores to {folder}: {error.strerror or error}") from error
        chosen = ", ".join(f"{name} {value}" for name, value in options.items() if name != "accept_licence")
        _show_table(f"{model}, {chosen}{', Wiener filter' if mwf else ''}", scores, folder, metrics or METRICS)
    if failures:
        print(f"unweave: {len(failures)} of {len(tracks)} tracks could not be scored", file=sys.stderr)
    return len(failures)


def _show_track(scores: Scores) -> None:
    line = "  ".join(f"{stem} {_figure(values['SDR'])}" for stem, values in scores.values.items())
    print(visible(f"{scores.track}: SDR {line}"), file=sys.stderr, flush=True)
    for note in scores.notes:
        print(visible(f"{scores.track}: note: {note}"), file=sys.stderr, flush=True)


def _show_table(title: str, scores: list[Scores], folder: Path, metrics: Sequence[str]) -> None:
    from unweave.evaluation.report import medians, speed
    from unweave.evaluation.scores import OUT_OF_HUNDRED

    tracks = "1 track" if len(scores) == 1 else f"{len(scores)} tracks"
    of_hundred = [metric for metric in metrics if metric in OUT_OF_HUNDRED]
    others = f"; {', '.join(of_hundred)} from 0 to 100" if of_hundred else ""
    print(f"\n{title}: medians over {tracks} in dB{others}\n")
    print("| stem | " + " | ".join(metrics) + " |")
    print("|---" * (len(metrics) + 1) + "|")
    for stem, values in medians(scores).items():
        print(f"| {stem} | " + " | ".join(_figure(values[metric]) for metric in metrics) + " |")
    print(f"\nseparated at {speed(scores):.0f} times real time; the scores are in {folder}")


def _figure(value: float) -> str:
    return "–" if value != value else f"{value:.2f}"
