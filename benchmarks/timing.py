"""Seconds and memory of the process that asks; nothing but NumPy is needed."""

import time
from pathlib import Path

import numpy as np

PATIENCE = 10  # seconds: what took longer is not run again
N_RUNS = 3


def timed(action):
    """The median of a few runs' seconds, or those of the first where it takes long."""
    started = time.perf_counter()
    result = action()
    seconds = [time.perf_counter() - started]
    if seconds[0] < PATIENCE:
        seconds = []
        for _ in range(N_RUNS):
            started = time.perf_counter()
            action()
            seconds.append(time.perf_counter() - started)
    return result, float(np.median(seconds))


def own_peak_megabytes():
    """The largest that this process has been; what the system says to its parent begins with the parent's own size."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
