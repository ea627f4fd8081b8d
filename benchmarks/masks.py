"""What each change to the masks is worth, one at a time: SDR over the whole signal, on tracks with known stems.

    python -m benchmarks.masks FOLDER [--model spleeter:2stems]

FOLDER is what `unweave evaluate` takes. Only rows that change something are comparable: short excerpts, one segment
each, cannot show what overlapping segments do.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from benchmarks.measure import QUALITY_PAGE, report
from unweave import Separator
from unweave.evaluation.metrics import sdr
from unweave.evaluation.tracks import find_tracks, matched
from unweave.families.quality import Quality
from unweave.separation import quality

AVERAGE = Quality(mask_extension="average", sums_to_mixture=False)
CHANGES = {
    "exact": (Quality(sums_to_mixture=False), {}),
    "1536 bins": (Quality(n_bins=1536, sums_to_mixture=False), {}),
    "2048 bins": (Quality(n_bins=2048, sums_to_mixture=False), {}),
    "high band: mean of the mask": (AVERAGE, {}),
    "high band: mean of its upper quarter": (Quality(mask_extension="edge", sums_to_mixture=False), {}),
    "mean, exponent 1.5": (dataclasses.replace(AVERAGE, mask_exponent=1.5), {}),
    "mean, exponent 1.25": (dataclasses.replace(AVERAGE, mask_exponent=1.25), {}),
    "mean, exponent 1": (dataclasses.replace(AVERAGE, mask_exponent=1.0), {}),
    "overlap of 16 frames": (Quality(overlap_frames=16, sums_to_mixture=False), {}),
    "overlap of 64 frames": (Quality(overlap_frames=64, sums_to_mixture=False), {}),
    "overlap of 256 frames": (Quality(overlap_frames=256, sums_to_mixture=False), {}),
    "two shifts": (Quality(sums_to_mixture=False), {"shifts": 2}),
    "Wiener filter": (Quality(sums_to_mixture=False), {"wiener": "track"}),
    **{f"preset {name}": (preset, {}) for name, preset in quality.PRESETS.items() if name != "exact"},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="spleeter:2stems")
    arguments = parser.parse_args()
    loaded = [track.load() for track in find_tracks(arguments.folder)]
    rows, stems = [], ()
    for name, (change, options) in CHANGES.items():
        quality.PRESETS["benchmark"] = change
        separator = Separator(arguments.model, quality="benchmark", **options)
        stems = separator.stems
        values = []
        for mixture, references, sample_rate in loaded:
            pairs = matched(separator.separate(mixture, sample_rate), references)
            values.append([sdr(*pairs[stem]) for stem in stems])
        medians, means = np.median(values, axis=0), np.mean(values, axis=0)
        rows.append((name, *(f"{a:.3f} ({b:.3f})" for a, b in zip(medians, means, strict=True))))
        print(*rows[-1], flush=True)
    title = f"{arguments.model}, {len(loaded)} tracks: median (mean) SDR in dB"
    report("masks", [(title, ("", *stems), rows)], QUALITY_PAGE)


if __name__ == "__main__":
    main()
