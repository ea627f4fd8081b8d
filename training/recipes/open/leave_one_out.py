"""What each source of the data adds: short runs of the plan, each without one of them, scored on tracks with stems.

    python leave_one_out.py FOLDER [--steps 250]

FOLDER is what `unweave evaluate` takes; nothing of it is trained on. Scores are those of the cascade's second half from
the true accompaniment (`benchmarks/four_stems.py`), median SDR over the whole excerpt.
"""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[3]))

from benchmarks.four_stems import STEMS, behind_perfect_vocals

from unweave.evaluation.metrics import sdr
from unweave.evaluation.tracks import find_tracks, matched
from unweave.training.plan import read_plan
from unweave.training.trainer import train


def scores(model, tracks):
    """Stem → median SDR in dB."""
    separate = behind_perfect_vocals(str(model))
    values = {stem: [] for stem in STEMS[1:]}
    for track in tracks:
        _, references, rate = track.load()
        references = {stem: references[stem] for stem in STEMS}
        for stem, pair in matched(separate(references, rate), references).items():
            if stem in values and np.abs(references[stem]).max() > 1e-3:
                values[stem].append(sdr(*pair))
    return {stem: float(np.median(series)) for stem, series in values.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--plan", type=Path, default=Path(__file__).with_name("plan.toml"))
    arguments = parser.parse_args()
    plan, tracks = read_plan(arguments.plan), find_tracks(arguments.folder)
    loop = dataclasses.replace(
        plan.training, steps=arguments.steps, warm_up_steps=arguments.steps // 10, validate_every_steps=10**6
    )
    sources = plan.data.sources
    for left_out in (None, *sources):
        kept = tuple(source for source in sources if source is not left_out)
        data = dataclasses.replace(plan.data, sources=kept)
        with tempfile.TemporaryDirectory() as folder:
            short = dataclasses.replace(plan, data=data, training=loop, output=Path(folder))
            train(short)
            name = left_out.path if left_out else "nothing"
            found = scores(Path(folder) / "model.onnx", tracks)
            print("without", name, {stem: round(value, 2) for stem, value in found.items()}, flush=True)


if __name__ == "__main__":
    main()
