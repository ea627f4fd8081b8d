"""``unweave evaluate``: a model against true stems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from unweave.cli.failures import failures_shown


def evaluate(
    mus_dir: Annotated[Path, typer.Argument(help="MUSDB18, MUSDB18-HQ, or a folder of folders with a file per stem.")],
    model: Annotated[str, typer.Option("-p", "--params_filename", "--model", help="Model.")] = "spleeter:2stems",
    output_path: Annotated[Path, typer.Option("-o", "--output_path", help="Folder for the scores.")] = Path(
        "evaluation"
    ),
    quality: Annotated[str, typer.Option("-q", "--quality", help="exact, fast, balanced or best.")] = "balanced",
    mwf: Annotated[bool, typer.Option("--mwf", help="Multichannel Wiener filter.")] = False,
    shifts: Annotated[int, typer.Option("--shifts", min=1, help="Runs over shifted segments, averaged.")] = 1,
    accept_licence: Annotated[
        bool, typer.Option("--accept_licence", help="Consent to a licence that restricts the use of the weights.")
    ] = False,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Processes that score.")] = 2,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show details.")] = False,
) -> None:
    """Score a model on tracks with known stems: BSS Eval v4 (medians), SDR and SI-SDR; goes on where it stopped."""
    with failures_shown(verbose):
        options = {"quality": quality, "shifts": shifts, "accept_licence": accept_licence}
        run_evaluation(mus_dir, model, output_path, mwf=mwf, jobs=jobs, options=options)


def run_evaluation(
    mus_dir: Path, model: str, output_path: Path, *, mwf: bool, jobs: int, options: dict[str, Any]
) -> None:
    """Evaluate, show the table, and write scores.csv and scores.png beside each track's JSON."""
    import importlib.util

    from unweave.cli.progress import make_reporter
    from unweave.errors import OptionError
    from unweave.evaluation.tracks import find_tracks
    from unweave.separation.ensemble import open_separator

    if importlib.util.find_spec("museval") is None or importlib.util.find_spec("matplotlib") is None:
        raise OptionError("evaluation needs: pip install 'unweave[evaluate]'")
    from unweave.evaluation.evaluate import METRICS, Scores, evaluate
    from unweave.evaluation.report import medians, speed, write_box_plot, write_csv

    tracks = find_tracks(mus_dir)
    with make_reporter(as_json=False) as reporter:
        wiener = "track" if mwf else None
        separator = open_separator(model, wiener=wiener, on_download=reporter.downloading, **options)

    def show(scores: Scores) -> None:
        line = "  ".join(f"{stem} {values['SDR']:.2f}" for stem, values in scores.values.items())
        print(f"{scores.track}: SDR {line}", file=sys.stderr, flush=True)

    scores = evaluate(separator, tracks, output_path, jobs=jobs, on_scores=show)
    write_csv(scores, output_path / "scores.csv")
    write_box_plot(scores, output_path / "scores.png")
    chosen = ", ".join(f"{name} {value}" for name, value in options.items() if name != "accept_licence")
    print(f"\n{model}, {chosen}{', Wiener' if mwf else ''}: medians over {len(scores)} tracks in dB\n")
    print("| stem | " + " | ".join(METRICS) + " |")
    print("|---" * (len(METRICS) + 1) + "|")
    for stem, values in medians(scores).items():
        print(f"| {stem} | " + " | ".join(f"{values[metric]:.2f}" for metric in METRICS) + " |")
    print(f"\nseparated at {speed(scores):.0f} times real time")
