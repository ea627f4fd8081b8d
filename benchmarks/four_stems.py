"""What our own network is worth, beside the mixture itself and the ideal ratio mask, on tracks with known stems.

    python -m benchmarks.four_stems FOLDER [--jobs 2]

FOLDER is what `unweave evaluate` takes. "From the true accompaniment" is the second half of the cascade alone: what it
would reach behind a perfect separation of the vocals.
"""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.measure import QUALITY_PAGE, report
from unweave import Separator
from unweave.dsp.masks import ratio_masks
from unweave.dsp.stft import analyse, synthesise
from unweave.engines.cascade import CascadeNetwork
from unweave.evaluation.metrics import bss_eval, sdr
from unweave.evaluation.tracks import find_tracks
from unweave.families.masking import MaskingSeparator

STEMS = ("vocals", "drums", "bass", "other")
N_FFT, HOP = 4096, 1024


class NothingToTake:
    """A first network of a cascade that finds no vocals."""

    n_frames = None

    def estimate(self, mixture):
        return np.stack([np.zeros_like(mixture), mixture])


def behind_perfect_vocals(model):
    """A separator of true accompaniments."""
    separator = Separator(model, device="cpu")
    network = CascadeNetwork(NothingToTake(), separator.loaded[0].masking.network, 1.0, separator.spec.n_bins)
    separator._pipeline = separator._pipeline.with_separator(MaskingSeparator(separator.spec, network))
    return lambda references, rate: separator.separate(sum(list(references.values())[1:]), rate)


def from_mixture(model):
    separator = Separator(model, device="cpu")
    return lambda references, rate: separator.separate(sum(references.values()), rate)


def mixture_itself(references, rate):
    return dict.fromkeys(STEMS, sum(references.values()))


def ideal_masks(references, rate):
    """Each stem's share of the magnitudes, known; padded so that all of it is covered by whole frames."""
    padded = np.pad(np.stack(list(references.values())), [(0, 0), (0, 0), (N_FFT, N_FFT + HOP)])
    spectra = np.stack([analyse(stem, N_FFT, HOP) for stem in padded])
    masks = ratio_masks(np.abs(spectra), 1.0)
    n_samples = next(iter(references.values())).shape[1]
    stems = [synthesise(mask * spectra.sum(0), N_FFT, HOP)[:, N_FFT : N_FFT + n_samples] for mask in masks]
    return dict(zip(STEMS, stems, strict=True))


def score(task):
    """SDR by BSS Eval v4 and over the whole excerpt: (stems, 2), NaN where a stem is silent or was not estimated."""
    references, estimates, rate = task
    names = [name for name in STEMS if name in estimates and np.abs(references[name]).max() > 1e-3]
    true, estimated = (
        np.stack([signals[name] for name in names]).astype(np.float64) for signals in (references, estimates)
    )
    medians = np.nanmedian(bss_eval(true, estimated, rate)["SDR"], axis=1)
    values = dict(zip(names, zip(medians, map(sdr, true, estimated), strict=True), strict=True))
    return [values.get(name, (np.nan, np.nan)) for name in STEMS]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--model", default="unweave:4stems")
    arguments = parser.parse_args()
    model = arguments.model
    ways = {
        "the mixture itself": mixture_itself,
        f"{model}, from the mixture": from_mixture(model),
        f"{model}-cascade, from the mixture": from_mixture(f"{model}-cascade"),
        f"{model}-cascade, from the true accompaniment": behind_perfect_vocals(model),
        "ideal ratio mask": ideal_masks,
    }
    loaded = []
    for track in find_tracks(arguments.folder):
        _, references, rate = track.load()
        loaded.append(({name: references[name] for name in STEMS}, rate))
    rows = []
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for the processes that score, which are as many as there are cores
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        for name, separate in ways.items():
            tasks = []
            for references, rate in loaded:
                estimates = dict(separate(references, rate))
                if "accompaniment" in name:
                    del estimates["vocals"]
                tasks.append((references, estimates, rate))
            medians = np.nanmedian(list(pool.map(score, tasks)), axis=0)
            rows.append((name, *("" if np.isnan(a) else f"{a:.2f} / {b:.2f}" for a, b in medians)))
            print(*rows[-1], sep=" | ", flush=True)
    title = f"{len(loaded)} tracks: median SDR in dB, by BSS Eval v4 / over the whole excerpt"
    report("four_stems", [(title, ("", *STEMS), rows)], QUALITY_PAGE)


if __name__ == "__main__":
    main()
