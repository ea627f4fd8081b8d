"""Render songs with true stems, as many as are asked for, the same for the same seed.

    python render.py OUT --data CLONES [--songs 100] [--pop 60] [--singers 60] [--drummers 120] [--bands 240]
        [--games 224] [--limit N] [--recorded 0.75] [--jobs 2]

CLONES holds a folder for each repository of sources.py. Writes flac files and list.csv, which `unweave train` reads.
What is rendered already is not rendered again.
"""

import argparse
import csv
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import mido
import numpy as np
import soundfile

import scores
from instruments import RATE
from players import LEADS, perform
from sources import FREEDOOM, GROOVE, POP909, RENDERED_LICENCE

LONGEST_SECONDS = 40


def one_song(number, style, random):
    """All stems of one MMA song: name, then stem → channels with their programs."""
    with tempfile.TemporaryDirectory() as temporary:
        try:
            song = scores.accompaniment(style, random, Path(temporary))
        except subprocess.TimeoutExpired:
            return None
    return song and (f"mma-{number:04}-{style}", song, scores.stems(song))


def one_pop(number, midi, random):
    """The piano of one song of POP909 with its melody and bridge on other instruments."""
    song = mido.MidiFile(midi)
    named = scores.named_channels(song)
    leads = {named[name]: int(random.choice(LEADS)) for name in ("MELODY", "BRIDGE") if name in named}
    stems = {"other": leads, "piano": {named["PIANO"]: 0}} if "PIANO" in named else {"other": leads}
    return f"pop-{number:03}", song, stems


def one_singer(number, midi, random):
    """The melody of one song of POP909, sung to syllables without sense."""
    song = mido.MidiFile(midi)
    named = scores.named_channels(song)
    return ("MELODY" in named) and (f"sung-{number:03}", song, {"vocals": {named["MELODY"]: 0}})


def one_drummer(number, midi, random):
    """One performance of the Groove data set."""
    song = mido.MidiFile(midi)
    channels = {m.channel for track in song.tracks for m in track if m.type == "note_on"}
    return f"groove-{number:04}", song, {"drums": dict.fromkeys(channels, 0)}


def one_band(number, midi, random):
    """A performance of the Groove data set with a band around it."""
    song = scores.band(mido.MidiFile(midi), random)
    return f"band-{number:04}", song, scores.stems(song)


def one_game(number, midi, random):
    """A piece of Freedoom's music: rock and metal, mostly."""
    song = mido.MidiFile(midi, clip=True)
    return f"game-{number:04}-{midi.stem}", song, scores.stems(song)


def render(task):
    """Rows of the list for one piece of music."""
    make, number, score, root, out, recorded, seed = task
    random = np.random.default_rng((seed, *make.__name__.encode(), number))
    made = make(number, score, random)
    if not made:
        return []
    name, song, stems = made
    song = scores.excerpt(song, LONGEST_SECONDS, random)
    rows = []
    for stem, channels in stems.items():
        path = out / f"{name.replace('/', '_')}-{stem}.flac"
        if not path.exists() and channels:
            try:
                sound = perform(song, channels, stem, root, recorded, random)
            except (subprocess.SubprocessError, ValueError):
                continue
            if np.abs(sound).max(initial=0) < 1e-3:
                continue
            partial = path.with_suffix(".part")
            soundfile.write(partial, sound.T, RATE, format="FLAC")
            partial.rename(path)
        rows.append((name, stem, path.name, RENDERED_LICENCE, 1))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the clones")
    for name, n in (("songs", 100), ("pop", 60), ("singers", 60), ("drummers", 120), ("bands", 240), ("games", 224)):
        parser.add_argument(f"--{name}", type=int, default=n)
    parser.add_argument("--limit", type=int, default=10**6, help="at most so many of each kind")
    parser.add_argument("--recorded", type=float, default=0.75, help="share of parts that recorded instruments play")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    out, data, seed = arguments.out, arguments.data, arguments.seed
    out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    drummers = sorted(path for path in GROOVE.at(data).rglob("*.mid") if "_beat_" in path.name)
    scores_of = {
        one_band: (drummers, arguments.bands),
        one_drummer: (drummers, arguments.drummers),
        one_game: (sorted(FREEDOOM.at(data).glob("*.mid")), arguments.games),
        one_pop: (sorted(POP909.at(data).glob("*/*.mid")), arguments.pop),
        one_singer: (sorted(POP909.at(data).glob("*/*.mid")), arguments.singers),
        one_song: (scores.styles(), arguments.songs),
    }
    tasks = []
    for make, (found, asked) in scores_of.items():
        n = min(asked, arguments.limit)
        order = [index for _ in range(-(-n // len(found))) for index in random.permutation(len(found))][:n]
        chosen = [found[index] for index in order]
        tasks += [(make, number, score, data, out, arguments.recorded, seed) for number, score in enumerate(chosen)]
    tasks = [tasks[index] for index in random.permutation(len(tasks))]  # what there is when it is stopped, is of all
    partial = out / "list.csv.part"
    with ProcessPoolExecutor(arguments.jobs) as pool, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("track", "stem", "path", "licence", "weight"))
        for done, rows in enumerate(pool.map(render, tasks)):
            writer.writerows(rows)
            file.flush()
            print(f"{done + 1} of {len(tasks)}", flush=True)
    partial.rename(out / "list.csv")


if __name__ == "__main__":
    main()
