"""Where the time goes, stage by stage, on one thread; what the networks reach of the processor's peak; the start.

python -m benchmarks.stages [--model spleeter:2stems]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import UNWEAVE, median, report, run, write_song
from unweave import Separator
from unweave.dsp.masks import ratio_masks
from unweave.dsp.stft import analyse, synthesise
from unweave.engines.processors import available_processors
from unweave.families.masking import MaskingSeparator

# Of one U-Net over 512 frames and 1024 bins: 6 + 6 + 1 layers, two operations per multiplication and addition.
GIGAFLOP_PER_UNET = 12.2
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}
PRODUCTS = """
import time
import numpy as np
a, b = (np.random.default_rng(0).random((1024, 1024)).astype(np.float32) for _ in range(2))
times = []
for _ in range(60):
    started = time.perf_counter()
    a @ b
    times.append(time.perf_counter() - started)
print(2 * 1024**3 / sorted(times)[30] / 1e9)
"""


def seconds(action, repeats=7):
    """The median time of ``action``."""
    action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return median(times)


def in_parallel(action, n_threads, repeats=6):
    """Seconds per call when ``n_threads`` threads call ``action`` at once."""
    threads = [threading.Thread(target=lambda: [action() for _ in range(repeats)]) for _ in range(n_threads)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - started) / (n_threads * repeats)


def peak_gigaflops():
    """What matrix products reach on one core: the practical peak in float32. In a process with one thread."""
    return float(subprocess.run([sys.executable, "-c", PRODUCTS], env={**os.environ, **ONE_THREAD}, check=True,
                                capture_output=True).stdout)  # fmt: skip


def process_seconds(code):
    """The median time of a Python process that runs ``code``."""
    return command_seconds([sys.executable, "-c", code])


def command_seconds(command):
    """The median time of a whole process, after one that is not counted."""
    run(command)
    return median(run(command).wall_seconds for _ in range(5))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="spleeter:2stems")
    arguments = parser.parse_args()
    separator = Separator(arguments.model)
    spec, n_threads = separator.spec, available_processors()
    masking = MaskingSeparator(spec, separator.loaded[0].masking.network)
    segment = (0.1 * np.random.default_rng(0).standard_normal((2, spec.segmentation.length))).astype(np.float32)
    spectrum = analyse(segment, spec.n_fft, spec.hop_length, spec.n_bins)
    magnitude = np.abs(spectrum)
    estimates = separator.loaded[0].masking.network.estimate(magnitude).copy()
    stems = list(range(len(spec.stems)))
    stages = {
        "spectrum": lambda: analyse(segment, spec.n_fft, spec.hop_length, spec.n_bins),
        "magnitudes": lambda: np.abs(spectrum),
        "networks": lambda: separator.loaded[0].masking.network.estimate(magnitude),
        "masks": lambda: ratio_masks(estimates, spec.mask_exponent),
        "one stem back": lambda: synthesise(spectrum, spec.n_fft, spec.hop_length),
        "the whole segment": lambda: masking.separate(segment, stems, is_first=True),
    }
    rows = [(name, f"{1000 * seconds(action):.1f}") for name, action in stages.items()]
    tables = [(f"one segment of 11.9 s, {spec.name}, one thread", ("stage", "ms"), rows)]

    per_segment = in_parallel(stages["networks"], n_threads)
    reached = GIGAFLOP_PER_UNET * len(stems) / per_segment
    peak = peak_gigaflops()
    row = (f"{1000 * per_segment:.1f}", f"{reached:.0f}", f"{peak:.0f}", f"{reached / (peak * n_threads):.0%}")
    headings = ("ms per segment", "GFLOP/s", "matrix products on one core reach", "share of all cores")
    tables.append((f"networks, {n_threads} threads", headings, [row]))
    start = [
        ("import unweave", "import unweave"),
        ("import Separator", "from unweave import Separator"),
        ("load the model", f"from unweave import Separator; Separator({arguments.model!r})"),
    ]
    bare = process_seconds("pass")
    rows = [(name, f"{1000 * (process_seconds(code) - bare):.0f}") for name, code in start]
    rows.append(("unweave --help", f"{1000 * command_seconds([*UNWEAVE, '--help']):.0f}"))
    with tempfile.TemporaryDirectory() as folder:
        for length in (1, 10):
            song = write_song(Path(folder) / f"{length}.wav", length)
            command = [*UNWEAVE, "separate", "-p", arguments.model, "-o", folder, song]
            rows.append((f"unweave separate, a clip of {length} s", f"{1000 * command_seconds(command):.0f}"))
    stream = separator.stream(44100)

    def first_second():
        stream = separator.stream(44100)
        n_ready = 0
        while n_ready < 44100:
            n_ready += stream.push(segment[:, : 1 << 16]).n_samples
        stream.close()

    stream.close()
    rows.append(("first second of stems, model loaded", f"{1000 * seconds(first_second, 3):.0f}"))
    report("stages", [*tables, ("start", ("", "ms"), rows)])


if __name__ == "__main__":
    main()
