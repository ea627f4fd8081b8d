"""A track's scores: how they are computed, kept and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.evaluation.metrics import BSS_METRICS, bss_eval, is_silent, sdr, si_sdr
from unweave.evaluation.origin import Origin
from unweave.evaluation.spectral import bleedless_fullness, l1_freq, log_spectral_distance
from unweave.files import replace_file
from unweave.types import Waveform

WHOLE_METRICS = ("uSDR", "SI-SDR")
SPECTRAL_METRICS = ("bleedless", "fullness", "L1-freq", "LSD")
METRICS = (*BSS_METRICS, *WHOLE_METRICS, *SPECTRAL_METRICS)
OUT_OF_HUNDRED = ("bleedless", "fullness", "L1-freq")  # from 0 to 100; all others are in dB
NAN = float("nan")
NO_SPECTRAL = dict.fromkeys(SPECTRAL_METRICS, NAN)

Pair = tuple[Waveform, Waveform]  # reference and estimate, of one shape
Windows = dict[str, npt.NDArray[np.float64]]  # metric → dB, one value per window


@dataclass(frozen=True)
class Scores:
    """One track's figures: stem → metric → value. BSS Eval's are medians over the windows of one second.

    NaN stands for what has no value, a silent stem for instance; ``notes`` say why.
    """

    track: str
    values: dict[str, dict[str, float]]
    seconds: float  # of audio
    separation_seconds: float  # that the separation took
    notes: tuple[str, ...] = ()

    def to_museval(self, frames: Mapping[str, list[dict[str, Any]]], origin: Origin) -> dict[str, Any]:
        """The JSON of the track as museval writes it, with our own figures and their origin beside it."""
        own = {
            "track": self.track,
            "values": self.values,
            "seconds": self.seconds,
            "separation_seconds": self.separation_seconds,
            "notes": list(self.notes),
            "origin": origin.to_json(),
        }
        return {"targets": [{"name": stem, "frames": frames[stem]} for stem in self.values], "unweave": own}


def read_scores(path: Path, origin: Origin | None = None) -> Scores | None:
    """The scores that an earlier run kept in ``path``, if they are whole and of ``origin`` (None: of any)."""
    try:
        own = json.loads(path.read_text(encoding="utf-8"))["unweave"]
        if origin is not None and own["origin"] != origin.to_json():
            return None
        values = {stem: {metric: float(row[metric]) for metric in METRICS} for stem, row in own["values"].items()}
        seconds, separation_seconds = float(own["seconds"]), float(own["separation_seconds"])
        return Scores(str(own["track"]), values, seconds, separation_seconds, tuple(own.get("notes", ())))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def score(
    name: str,
    pairs: Mapping[str, Pair],
    unmatched: tuple[str, ...],
    sample_rate: int,
    elapsed: float,
    notes: tuple[str, ...],
    path: Path,
    origin: Origin,
) -> Scores:
    """The scores of one track, also kept in ``path``.

    ``pairs`` are references and estimates by stem; the stems ``unmatched`` have no reference and get no values. Raises
    OSError where ``path`` cannot be written.
    """
    windows, reasons = _bss_eval(pairs, sample_rate)
    notes += tuple(f"{stem} has no reference: no scores" for stem in unmatched) + reasons
    values = {}
    for stem, (reference, estimate) in pairs.items():
        values[stem] = {metric: _median(windows[stem][metric]) for metric in BSS_METRICS}
        has_reference, has_both = not is_silent(reference), not (is_silent(reference) or is_silent(estimate))
        values[stem]["uSDR"] = sdr(reference, estimate) if has_reference else NAN
        values[stem]["SI-SDR"] = si_sdr(reference, estimate) if has_both else NAN
        values[stem] |= _spectral(reference, estimate, sample_rate) if has_reference else NO_SPECTRAL
    values |= {stem: dict.fromkeys(METRICS, NAN) for stem in unmatched}
    n_samples = max((reference.shape[-1] for reference, _ in pairs.values()), default=0)
    scores = Scores(name, values, n_samples / sample_rate, elapsed, notes)
    frames = {stem: _frames(windows.get(stem, {})) for stem in values}
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(scores.to_museval(frames, origin), indent=2).encode())
    return scores


def _spectral(reference: Waveform, estimate: Waveform, sample_rate: int) -> dict[str, float]:
    values = (
        *bleedless_fullness(reference, estimate, sample_rate),
        l1_freq(reference, estimate),
        log_spectral_distance(reference, estimate),
    )
    return dict(zip(SPECTRAL_METRICS, values, strict=True))


def _bss_eval(pairs: Mapping[str, Pair], sample_rate: int) -> tuple[dict[str, Windows], tuple[str, ...]]:
    """BSS Eval by stem, and why some of it has no value.

    museval refuses silent signals. A silent reference explains nothing of any estimate, so that leaving it out changes
    no figure of the other stems. A silent estimate is measured by no figure of theirs; its reference is.
    """
    silent_references = [stem for stem, (reference, _) in pairs.items() if is_silent(reference)]
    audible = [stem for stem in pairs if stem not in silent_references]
    silent_estimates = [stem for stem in audible if is_silent(pairs[stem][1])]
    reasons = [f"the reference of {stem} is silent: no scores" for stem in silent_references]
    reasons += [f"the estimate of {stem} is silent: no SDR, ISR, SIR, SAR or SI-SDR" for stem in silent_estimates]
    nothing = {metric: np.full(1, np.nan) for metric in BSS_METRICS}
    windows: dict[str, Windows] = dict.fromkeys(pairs, nothing)
    if len(audible) > len(silent_estimates):
        references = np.stack([pairs[stem][0] for stem in audible])
        estimates = np.stack([pairs[stem][stem not in silent_estimates] for stem in audible])
        try:
            measured = bss_eval(references, estimates, sample_rate)
        except (ValueError, np.linalg.LinAlgError) as error:
            reasons.append(f"museval cannot compare these signals ({' '.join(str(error).split())}): no BSS Eval")
        else:
            if len(audible) == 1:
                reasons.append(f"{audible[0]} is the only stem: there is no interference, and so no SIR")
                measured["SIR"] = np.full_like(measured["SIR"], np.nan)
            for index, stem in enumerate(audible):
                if stem not in silent_estimates:
                    windows[stem] = {metric: measured[metric][index] for metric in BSS_METRICS}
    return windows, tuple(reasons)


def _frames(windows: Mapping[str, npt.NDArray[np.float64]]) -> list[dict[str, Any]]:
    n_windows = min((len(series) for series in windows.values()), default=0)
    return [
        {
            "time": float(second),
            "duration": 1.0,
            "metrics": {metric: round(float(series[second]), 5) for metric, series in windows.items()},
        }
        for second in range(n_windows)
    ]


def _median(series: npt.NDArray[np.float64]) -> float:
    finite = series[np.isfinite(series)]
    return float(np.median(finite)) if len(finite) else NAN
