"""Peak memory over the length of the recording.

    python -m benchmarks.memory [--minutes 1 10 60 600] [--model spleeter:2stems]

Ten hours take about nine minutes and 20 GB of disk here.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import UNWEAVE, print_table, run, write_song


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60, 600])
    parser.add_argument("--model", default="spleeter:2stems")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in arguments.minutes:
            song = write_song(Path(folder) / f"{minutes:g}.wav", minutes * 60)
            result = run([*UNWEAVE, "separate", "-p", arguments.model, "-o", f"{folder}/out", song])
            rows.append((f"{minutes:g}", f"{result.wall_seconds:.1f}", f"{result.peak_megabytes:.0f}"))
            song.unlink()
            for stem in Path(folder, "out").rglob("*.wav"):
                stem.unlink()
    print_table(f"{arguments.model}, wav in and out", ("minutes", "wall s", "peak MB"), rows)


if __name__ == "__main__":
    main()
