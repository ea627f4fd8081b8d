"""What the driver of a catalogue holds: its memory while millions of synthetic names go by, first and second run.

python -m benchmarks.listing [--songs 500000 1000000 5000000]

No song is separated. In the second run all songs are finished: names, stems and journal come from a store that makes
them up as it is asked.
"""

import argparse
import itertools
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from benchmarks.measure import SCALE_PAGE, report
from unweave.cluster.journal import open_journal
from unweave.cluster.listing import LAST
from unweave.cluster.parts import PREFIX, new_part
from unweave.cluster.places import Place
from unweave.cluster.run import separate_catalogue
from unweave.cluster.songs import find_songs
from unweave.cluster.worker import Result
from unweave.engines.processors import available_processors
from unweave.separation.journal import Entry
from unweave.separation.output import OutputOptions

STEMS = ("vocals", "accompaniment")
STAMP = (1_000_000, 1_700_000_000_000_000_000)
SONGS_PER_ALBUM = 10
SONGS_PER_PART = 1000
HEADINGS = ("songs", "run", "cpu s", "cpu µs a song", "peak MB")


def name_of(number):
    """The name of a song; a greater number comes later in a listing."""
    return f"album {number // SONGS_PER_ALBUM:08}/{number % SONGS_PER_ALBUM:02} a song.mp3"


class Songs(Place):
    """A bucket with so many songs."""

    def __init__(self, n_songs):
        super().__init__("memory://songs")
        object.__setattr__(self, "n_songs", n_songs)

    def files(self, *, prefix="", after="", until=LAST):
        if not prefix:
            yield from ((name_of(number), STAMP) for number in range(self.n_songs))


class Stems(Place):
    """A bucket with the stems of all songs, and a journal that says so."""

    def __init__(self, songs):
        super().__init__("memory://stems")
        object.__setattr__(self, "songs", songs)

    def targets(self, number):
        song = name_of(number).removesuffix(".mp3")
        return [f"{song}/{stem}.wav" for stem in sorted(STEMS)]

    def entries(self, first):
        return {
            name_of(number): Entry(
                self.songs.state(name_of(number), STAMP),
                "settings",
                dict.fromkeys(self.targets(number), STAMP),
            )
            for number in range(first, min(first + SONGS_PER_PART, self.songs.n_songs))
        }

    def files(self, *, prefix="", after="", until=LAST):
        if prefix == PREFIX:
            for first in range(0, self.songs.n_songs, SONGS_PER_PART):
                name, _ = new_part({name_of(first): Entry({}, "", {})})
                object.__setattr__(self, "part", (name, first))
                yield name, STAMP
            return
        first = int(after[len("album ") :].partition("/")[0]) * SONGS_PER_ALBUM if after else 0
        for number in range(first, self.songs.n_songs):
            for name in self.targets(number):
                if after < name <= until:
                    yield name, STAMP
                if name > until:
                    return

    def stamp(self, name):
        return STAMP if name.endswith(".wav") else None

    def read(self, name):
        if name != self.part[0]:
            return None
        return new_part(self.entries(self.part[1]))[1]


def measure(n_songs, again):
    """One run in this process: songs skipped, seconds, and the most memory in MB."""
    songs = Songs(n_songs)
    target = Stems(songs) if again else Place("memory://nothing")
    started = time.perf_counter()
    with closing(open_journal(songs, target, "settings")) as journal:
        summary = separate_catalogue(
            find_songs(songs, target, STEMS, OutputOptions()),
            journal,
            lambda songs, should_stop: (Result(song.name, {}) for song in songs if song),
        )
    seconds = time.perf_counter() - started
    assert (summary.skipped if again else summary.done) == n_songs, summary
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, nargs="+", default=[500_000, 1_000_000, 5_000_000])
    parser.add_argument("--one", help=argparse.SUPPRESS, choices=["first", "second"])
    arguments = parser.parse_args()
    if arguments.one:
        print(*measure(arguments.songs[0], arguments.one == "second"), os.times().user)
        return

    def row(case):
        run, n_songs = case
        command = [sys.executable, "-m", "benchmarks.listing", "--one", run, "--songs", str(n_songs)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        _, megabytes, cpu = map(float, said.split())
        print(run, n_songs, said, flush=True)
        return f"{n_songs:,}", run, f"{cpu:.0f}", f"{1e6 * cpu / n_songs:.0f}", f"{megabytes:.0f}"

    cases = list(itertools.product(("first", "second"), arguments.songs))
    with ThreadPoolExecutor(available_processors()) as pool:  # memory and processor time are each process's own
        rows = list(pool.map(row, cases))
    report("listing", [("the driver, without workers", HEADINGS, rows)], SCALE_PAGE)


if __name__ == "__main__":
    main()
