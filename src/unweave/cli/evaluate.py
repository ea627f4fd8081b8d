"""``unweave evaluate``: a model against true stems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from unweave.cli.failures import EXIT_FAILED, fail, failures_shown

if TYPE_CHECKING:
    from unweave.evaluation.evaluate import Failure, Scores

DEFAULT_FOLDER = Path("evaluation")


def evaluate(
    mus_dir: Annotated[
        Path, typer.Argument(help="MUSDB18, MUSDB18-HQ, or a folder that contains a folder of stems for each track.")
    ],
    model: Annotated[
        str, typer.Option("-p", "--params_filename", "--model", help="Model to use; 'unweave models list' shows them.")
    ] = "spleeter:2stems",
    output_path: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option(
            "-o",
            "--output_path",
            help="Folder for the scores. By default, a folder in ./evaluation for this model and these settings.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[str, typer.Option("-q", "--quality", help="exact, fast, balanced or best.")] = "balanced",
    mwf: Annotated[bool, typer.Option("--mwf", help="Use the multichannel Wiener filter.")] = False,
    shifts: Annotated[
        int,
        typer.Option("--shifts", min=1, help="Separate this many times with shifted segments and take the average."),
    ] = 1,
    accept_licence: Annotated[
        bool, typer.Option("--accept_licence", help="Accept a licence that restricts how the weights may be used.")
    ] = False,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Number of processes that compute scores.")] = 2,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show details and tracebacks.")] = False,
) -> None:
    """Score a model on tracks whose true stems are known.

    The scores are BSS Eval v4 (the median over windows of one second), SDR and SI-SDR. An evaluation that was
    interrupted continues where it stopped. Tracks that cannot be scored are reported, and the others are still scored.
    """
    with failures_shown(verbose):
        options = {"quality": quality, "shifts": shifts, "accept_licence": accept_licence}
        n_failed = run_evaluation(mus_dir, model, output_path, mwf=mwf, jobs=jobs, options=options)
    if n_failed:
        raise typer.Exit(EXIT_FAILED)


def run_evaluation(
    mus_dir: Path, model: str, output_path: Path | None, *, mwf: bool, jobs: int, options: dict[str, Any]
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
        raise OptionError("evaluation needs: pip install 'unweave[evaluate]'")
    from unweave.evaluation.evaluate import evaluate
    from unweave.evaluation.origin import folder_name
    from unweave.evaluation.report import write_box_plot, write_csv

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
        _show_table(f"{model}, {chosen}{', Wiener filter' if mwf else ''}", scores, folder)
    if failures:
        print(f"unweave: {len(failures)} of {len(tracks)} tracks could not be scored", file=sys.stderr)
    return len(failures)


def _show_track(scores: Scores) -> None:
    line = "  ".join(f"{stem} {_db(values['SDR'])}" for stem, values in scores.values.items())
    print(f"{scores.track}: SDR {line}", file=sys.stderr, flush=True)
    for note in scores.notes:
        print(f"{scores.track}: note: {note}", file=sys.stderr, flush=True)


def _show_table(title: str, scores: list[Scores], folder: Path) -> None:
    from unweave.evaluation.evaluate import METRICS
    from unweave.evaluation.report import medians, speed

    tracks = "1 track" if len(scores) == 1 else f"{len(scores)} tracks"
    print(f"\n{title}: medians over {tracks} in dB\n")
    print("| stem | " + " | ".join(METRICS) + " |")
    print("|---" * (len(METRICS) + 1) + "|")
    for stem, values in medians(scores).items():
        print(f"| {stem} | " + " | ".join(_db(values[metric]) for metric in METRICS) + " |")
    print(f"\nseparated at {speed(scores):.0f} times real time; the scores are in {folder}")


def _db(value: float) -> str:
    return "–" if value != value else f"{value:.2f}"
