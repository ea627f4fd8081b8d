"""Where the time goes, stage by stage, on one thread; and what the networks reach of the processor's peak.

python -m benchmarks.stages [--model spleeter:2stems]
"""

import argparse
import subprocess
import sys
import threading
import time

import numpy as np

from benchmarks.measure import UNWEAVE, median, report
from unweave import Separator
from unweave.dsp.masks import ratio_masks
from unweave.dsp.stft import analyse, synthesise
from unweave.families.masking import MaskingSeparator

# Of one U-Net over 512 frames and 1024 bins: 6 + 6 + 1 layers, two operations per multiplication and addition.
GIGAFLOP_PER_UNET = 12.2


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


def peak_gigaflops(n_threads):
    """What matrix products reach: the practical peak in float32."""
    a, b = (np.random.default_rng(0).random((1024, 1024)).astype(np.float32) for _ in range(2))
    return 2 * 1024**3 / in_parallel(lambda: a @ b, n_threads, repeats=60) / 1e9


def process_seconds(code):
    """The median time of a Python process that runs ``code``."""
    return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True), repeats=5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="spleeter:2stems")
    arguments = parser.parse_args()
    separator = Separator(arguments.model)
    spec, n_threads = separator.spec, separator._n_threads
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
        "masks": lambda: ratio_masks(estimates),
        "one stem back": lambda: synthesise(spectrum, spec.n_fft, spec.hop_length),
        "the whole segment": lambda: masking.separate(segment, stems, is_first=True),
    }
    rows = [(name, f"{1000 * seconds(action):.1f}") for name, action in stages.items()]
    tables = [(f"one segment of 11.9 s, {spec.name}, one thread", ("stage", "ms"), rows)]

    # Numbers of threads inside a product are NumPy's own business: the peak is measured as whole processor.
    per_segment = in_parallel(stages["networks"], n_threads)
    reached = GIGAFLOP_PER_UNET * len(stems) / per_segment
    peak = peak_gigaflops(1)
    row = (f"{1000 * per_segment:.1f}", f"{reached:.0f}", f"{peak:.0f}", f"{reached / peak:.0%}")
    headings = ("ms per segment", "GFLOP/s", "matrix products reach", "share")
    tables.append((f"networks, {n_threads} threads", headings, [row]))
    start = [
        ("import unweave", "import unweave"),
        ("import Separator", "from unweave import Separator"),
        ("load the model", f"from unweave import Separator; Separator({arguments.model!r})"),
        ("unweave --help", "import subprocess, sys; subprocess.run([sys.executable, '-m', 'unweave', '--help'], "
                           "stdout=subprocess.DEVNULL)"),
    ]  # fmt: skip
    bare = process_seconds("pass")
    rows = [(name, f"{1000 * (process_seconds(code) - bare):.0f}") for name, code in start[:3]]
    rows.append((start[3][0], f"{1000 * seconds(lambda: subprocess.run([*UNWEAVE, '--help'], stdout=-3)):.0f}"))
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
