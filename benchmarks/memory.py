"""Peak memory over the length of the recording.

    python -m benchmarks.memory [--minutes 1 10 60 600] [--model spleeter:2stems] [--quality balanced]

Ten hours take about nine minutes and 20 GB of disk here.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.measure import UNWEAVE, report, run, write_song


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60, 600])
    parser.add_argument("--model", default="spleeter:2stems")
    parser.add_argument("--quality", default="balanced")
    arguments = parser.parse_args()
    quality = ["--quality", arguments.quality]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in arguments.minutes:
            song = write_song(Path(folder) / f"{minutes:g}.wav", minutes * 60)
            result = run([*UNWEAVE, "separate", "-p", arguments.model, "-o", f"{folder}/out", song, *quality])
            rows.append((f"{minutes:g}", f"{result.wall_seconds:.1f}", f"{result.peak_megabytes:.0f}"))
            song.unlink()
            shutil.rmtree(f"{folder}/out")
    title = f"{arguments.model}, --quality {arguments.quality}, wav in and out"
    report("memory", [(title, ("minutes", "wall s", "peak MB"), rows)])


if __name__ == "__main__":
    main()
