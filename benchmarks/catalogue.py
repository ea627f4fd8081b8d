"""A test set of 50 songs of MUSDB18's total length (3 h 27 min), synthesised, to stems as wav; loading included.

python -m benchmarks.catalogue [--model spleeter:4stems] [--songs 50] [--minutes 207] [--jobs 1] [--device cpu]

The model "clock" has the layout of spleeter:4stems and needs only the two-stem weights.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import UNWEAVE, four_stems_for_the_clock, report, run, write_song


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="spleeter:2stems")
    parser.add_argument("--songs", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=207)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quality", default="exact")
    arguments = parser.parse_args()
    model = arguments.model
    seconds = arguments.minutes * 60 / arguments.songs
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.songs):
            write_song(Path(folder) / "in" / f"{number:03}.wav", seconds, seed=number)
        if model == "clock":
            model = four_stems_for_the_clock(Path(folder))
        command = [*UNWEAVE, "separate", f"{folder}/in", "-p", model, "-o", f"{folder}/out"]
        command += ["--device", arguments.device, "--quality", arguments.quality, "--jobs", arguments.jobs]
        result = run(command)
    speed = arguments.minutes * 60 / result.wall_seconds
    title = (
        f"{arguments.songs} songs, {arguments.minutes:g} minutes, {arguments.model}, {arguments.jobs} at a time, "
        f"device {arguments.device}"
    )
    row = (f"{result.wall_seconds:.1f}", f"{result.cpu_seconds:.1f}", f"{result.peak_megabytes:.0f}", f"{speed:.0f}")
    report("catalogue", [(title, ("wall s", "cpu s", "peak MB", "times real time"), [row])])


if __name__ == "__main__":
    main()
