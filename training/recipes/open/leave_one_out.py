"""What each source of the data adds: short runs of the plan, each without one of them, scored on tracks with stems.

    python leave_one_out.py FOLDER [--steps 250] [--tracks 'guitar-*' 'sung-*']

``--tracks`` leaves out tracks by name instead of sources. FOLDER is what `unweave evaluate` takes; nothing of it is
trained on. Scores are those of the cascade's second half from the true accompaniment, and vocals from the mixture
(`benchmarks/four_stems.py`), median SDR over the whole excerpt.
"""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[3]))

from benchmarks.four_stems import STEMS, behind_perfect_vocals, from_mixture

from unweave.evaluation.metrics import sdr
from unweave.evaluation.tracks import find_tracks, matched
from unweave.training.plan import read_plan
from unweave.training.trainer import train


def scores(model, tracks):
    """Stem → median SDR in dB."""
    separate, separate_all = behind_perfect_vocals(str(model)), from_mixture(str(model))
    values = {stem: [] for stem in STEMS}
    for track in tracks:
        _, references, rate = track.load()
        references = {stem: references[stem] for stem in STEMS}
        estimates = {**separate(references, rate), "vocals": separate_all(references, rate)["vocals"]}
        for stem, pair in matched(estimates, references).items():
            if np.abs(references[stem]).max() > 1e-3:
                values[stem].append(sdr(*pair))
    return {stem: float(np.median(series)) for stem, series in values.items()}


def without_each(data, patterns):
    """What is left out, and the data without it: nothing, then each pattern of track names, or each source."""
    yield "nothing", data
    for pattern in patterns:
        yield pattern, dataclasses.replace(data, held_out=(*data.held_out, pattern))
    for source in () if patterns else data.sources:
        kept = tuple(other for other in data.sources if other is not source)
        yield source.path, dataclasses.replace(data, sources=kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--tracks", nargs="*", default=[], metavar="PATTERN")
    parser.add_argument("--plan", type=Path, default=Path(__file__).with_name("plan.toml"))
    arguments = parser.parse_args()
    plan, tracks = read_plan(arguments.plan), find_tracks(arguments.folder)
    loop = dataclasses.replace(
        plan.training, steps=arguments.steps, warm_up_steps=arguments.steps // 10, validate_every_steps=10**6
    )
    for name, data in without_each(plan.data, arguments.tracks):
        with tempfile.TemporaryDirectory() as folder:
            train(dataclasses.replace(plan, data=data, training=loop, output=Path(folder)))
            found = scores(Path(folder) / "model.onnx", tracks)
            print("without", name, {stem: round(value, 2) for stem, value in found.items()}, flush=True)


if __name__ == "__main__":
    main()
