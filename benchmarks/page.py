"""Every table of docs/performance.md that needs nothing but this machine, measured anew in one state of the code.

    python -m benchmarks.page [--pairs 3] [--python python3.10]

Takes about ten minutes on two cores, which should have nothing else to do. `benchmarks.live` and `benchmarks.catalogue`
need music, and are run by themselves.
"""

import argparse
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import report
from unweave.engines.processors import available_processors


def processor():
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return name or platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--python", default="python3.10", help="for the original")
    arguments = parser.parse_args()
    packages = ("numpy", "onnxruntime", "openvino", "av", "soundfile")
    rows = [("processor", f"{available_processors()} cores of {processor()}"), ("Python", platform.python_version())]
    rows += [(name, version(name)) for name in packages]
    report("machine", [("The machine", ("", ""), rows)])
    for module, *options in (
        ("stages",),
        ("files",),
        ("memory", "--minutes", 1, 10, 60),
        ("against_spleeter", "--pairs", arguments.pairs, "--python", arguments.python),
    ):
        started = time.perf_counter()
        command = [sys.executable, "-m", f"benchmarks.{module}", *options]
        subprocess.run([str(part) for part in command], check=True)
        print(f"\nbenchmarks.{module} took {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
