"""Scores as a table, a CSV file and a box plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unweave.evaluation.scores import METRICS, NAN, OUT_OF_HUNDRED, Scores
from unweave.files import replace_file


def medians(scores: Sequence[Scores]) -> dict[str, dict[str, float]]:
    """The median over all tracks that have a value: stem → metric → value; NaN where no track has one."""
    stems = list(dict.fromkeys(stem for each in scores for stem in each.values))

    def median(stem: str, metric: str) -> float:
        known = [each.values[stem][metric] for each in scores if stem in each.values]
        known = [value for value in known if not np.isnan(value)]
        return float(np.median(known)) if known else NAN

    return {stem: {metric: median(stem, metric) for metric in METRICS} for stem in stems}


def speed(scores: Sequence[Scores]) -> float:
    """Seconds of audio separated in one second."""
    return sum(each.seconds for each in scores) / max(1e-9, sum(each.separation_seconds for each in scores))


def write_csv(scores: Sequence[Scores], path: Path) -> None:
    """A row per track, stem and metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["track", "stem", "metric", "value"])
    for each in scores:
        for stem, values in each.values.items():
            writer.writerows([each.track, stem, metric, f"{value:.5f}"] for metric, value in values.items())
    replace_file(path, text.getvalue().encode("utf-8", "backslashreplace"))


def write_box_plot(scores: Sequence[Scores], path: Path) -> None:
    """A panel per metric, a box per stem over the tracks, as PNG."""
    from matplotlib.figure import Figure

    stems = list(medians(scores))
    figure = Figure(figsize=(3 * len(METRICS), 4), layout="constrained")
    for axes, metric in zip(np.atleast_1d(figure.subplots(1, len(METRICS))), METRICS, strict=True):
        series = [[each.values[stem][metric] for each in scores if stem in each.values] for stem in stems]
        axes.boxplot([[value for value in values if np.isfinite(value)] for values in series], showfliers=False)
        axes.set_xticks(range(1, len(stems) + 1), stems, rotation=30, parse_math=False)
        axes.set_title(metric)
        axes.set_ylabel("of 100" if metric in OUT_OF_HUNDRED else "dB")
        axes.grid(axis="y", alpha=0.3)
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=100)
    replace_file(path, raw.getvalue())
