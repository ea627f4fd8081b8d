"""Peak memory over the length of the recording, and over the number of threads.

    python -m benchmarks.memory [--minutes 1 10 60 600] [--threads 1 2 4 8] [--model spleeter:2stems]

Ten hours take about nine minutes and 20 GB of disk here.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import UNWEAVE, report, run, write_song

WITH_THREADS = """
import sys
from unweave import Separator
model, threads, song, folder = sys.argv[1:]
Separator(model, threads=int(threads)).separate_file(song, folder)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60, 600])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4, 8])
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
        song = write_song(Path(folder) / "song.wav", 180)
        of_threads = []
        for n_threads in arguments.threads:
            result = run([sys.executable, "-c", WITH_THREADS, arguments.model, n_threads, song, f"{folder}/out"])
            of_threads.append((n_threads, f"{result.peak_megabytes:.0f}"))
    title = f"{arguments.model}, --quality {arguments.quality}, wav in and out"
    threads_title = f"{arguments.model}, three minutes, as many segments at once as there are threads"
    tables = [(title, ("minutes", "wall s", "peak MB"), rows), (threads_title, ("threads", "peak MB"), of_threads)]
    report("memory", tables)


if __name__ == "__main__":
    main()
