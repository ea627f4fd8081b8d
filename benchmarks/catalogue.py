"""A test set of 50 songs of MUSDB18's total length (3 h 27 min), synthesised, to stems as wav; loading included.

python -m benchmarks.catalogue [--model spleeter:4stems] [--songs 50] [--minutes 207] [--jobs 1] [--device cpu]
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import UNWEAVE, print_table, run, write_song


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="spleeter:2stems")
    parser.add_argument("--songs", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=207)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quality", default="exact")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60 / arguments.songs
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.songs):
            write_song(Path(folder) / "in" / f"{number:03}.wav", seconds, seed=number)
        command = [*UNWEAVE, "separate", f"{folder}/in", "-p", arguments.model, "-o", f"{folder}/out"]
        command += ["--device", arguments.device, "--quality", arguments.quality, "--jobs", arguments.jobs]
        result = run(command)
    speed = arguments.minutes * 60 / result.wall_seconds
    print_table(
        f"{arguments.songs} songs, {arguments.minutes:g} minutes, {arguments.model}, {arguments.jobs} at a time",
        ("wall s", "cpu s", "peak MB", "times real time"),
        [(f"{result.wall_seconds:.1f}", f"{result.cpu_seconds:.1f}", f"{result.peak_megabytes:.0f}", f"{speed:.0f}")],
    )


if __name__ == "__main__":
    main()
