"""The list of real stems: seven songs of "Everything is Free" (CC0), each file sorted by ear and by spectrum, and the
guitars of eight rock and metal songs of Frets on Fire.

    python real.py FOLDER OUT.csv

FOLDER holds a folder per song with its files, as in the repository's `src/`.
"""

import csv
import sys
from fnmatch import fnmatch
from pathlib import Path

from sources import GUITARS, STEMS

DRUMS = "*KICK* *HAT* *BEAT* *DRUM* *SNARE* *HH* *TOM* *CLAP* *CRASH* *CYMB* *PRC* *PERC* TOPS *BREAK K_&_SN"
# What the synthesizer plays differs from song to song: four fifths below 150 Hz is a bass.
BASS = "*SY_BASS *BASS_STAB 4.*/PAD_+_BASS 4.*/MINILOGUE_SYNTH 5.*/MINILOGUE_SYNTH"
# Bass and chords in one file, the finished song, and drums among the melody belong to no stem.
UNUSED = (
    "*Master* 2.*/MINILOGUE_SYNTH 6.*/MINILOGUE_SYNTH 4.*/MICROCOSM_EFFECT 3.*/MICROCOSM_EFFECT *GLITCH* *FILL_BUILD "
    "*MELODY_BREAK"
)
PIANO = "*FILL_PIANO"
RULES = [("", UNUSED), ("vocals", "*VOX*"), ("piano", PIANO), ("bass", BASS), ("drums", DRUMS), ("other", "*")]


def stem_of(song, name):
    """The stem that a file belongs to; empty for none."""
    label = f"{song}/{name}".replace(" ", "_")
    return next(
        stem for stem, patterns in RULES if any(fnmatch(label, p if "/" in p else f"*/{p}") for p in patterns.split())
    )


def main():
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("track", "stem", "path", "licence", "weight"))
        for path in sorted(folder.glob("*/*.m4a")):
            stem = stem_of(path.parent.name, path.stem)
            if stem:
                writer.writerow((path.parent.name, stem, path.resolve(), STEMS.licence, 1))
        for songs, licence in GUITARS.items():
            for path in sorted(Path(songs).glob("*/guitar.ogg")):
                writer.writerow((f"guitar-{path.parent.name}", "other", path, licence, 1.3))


if __name__ == "__main__":
    main()
