"""What latency costs in quality: SDR of live separation on tracks with known stems, beside the whole song's.

    python -m benchmarks.live FOLDER [--tracks 12] [--model spleeter:2stems]

The first second of each track is left out: live separation begins with nothing before it.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import report
from unweave import Separator
from unweave.evaluation.metrics import sdr
from unweave.evaluation.tracks import find_tracks, matched

LATENCIES = (0.1, 0.15, 0.2, 0.3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=12)
    parser.add_argument("--model", default="spleeter:2stems")
    arguments = parser.parse_args()
    separator = Separator(arguments.model, device="cpu")
    loaded = [track.load() for track in find_tracks(arguments.folder)[: arguments.tracks]]
    rows = []
    for latency in (*LATENCIES, None):
        values, seconds, n_passes = [], 0.0, 0
        for mixture, references, rate in loaded:
            if latency is None:
                estimates = dict(separator.separate(mixture, rate))
            else:
                step = 1 if latency < 0.15 else 2
                stream = separator.live(latency_seconds=latency, step_frames=step)
                started = time.perf_counter()
                estimates = stream.push(np.pad(mixture, [(0, 0), (0, 2 * stream.latency_samples)]))
                seconds += time.perf_counter() - started
                n_passes += estimates.n_samples / (step * separator.spec.hop_length)
                estimates = {n: e[:, stream.delay_samples :][:, : mixture.shape[1]] for n, e in estimates.items()}
            pairs = matched(estimates, references)
            values.append([sdr(*(part[:, rate:] for part in pairs[stem])) for stem in separator.stems])
        name = "whole song" if latency is None else f"{1000 * latency:.0f} ms"
        cost = "" if latency is None else f"{1000 * seconds / n_passes:.0f}"
        rows.append((name, *(f"{value:.2f}" for value in np.median(values, axis=0)), cost))
        print(*rows[-1], flush=True)
    title = f"{arguments.model}, {len(loaded)} tracks: median SDR in dB, and ms per pass"
    report("live", [(title, ("latency", *separator.stems, "ms per pass"), rows)])


if __name__ == "__main__":
    main()
