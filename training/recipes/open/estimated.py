"""Stems of songs that exist only as mixtures, estimated by networks that were trained before.

    python estimated.py MODEL FOLDER OUT.csv [LIMIT]

Nobody sings in these songs, and for some there is a guitar to be added: what the networks take for drums or bass is
kept, and all else is other. A song whose piano carries more than an eighth of its energy keeps that, too.
"""

import csv
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sources import SONGS
from unweave import Separator

RATE = 44100
AUDIBLE, PIANO = 1e-3, 0.12  # shares of all energy, below which a stem is left out


def mixtures():
    """Each song's name, file, licence, and the file of a guitar that is to be added."""
    for folder, names, licence in SONGS:
        for path in sorted(path for name in names.split() for path in Path(folder).glob(f"{name}.ogg")):
            guitar = path.with_name("guitar.ogg")
            has_guitar = guitar.exists()
            name = path.parent.name if has_guitar else path.stem
            yield f"song-{name}".replace(" ", "_"), path, licence, guitar if has_guitar else None


def samples_of(path):
    """(channels, samples) in stereo at `RATE`."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(soxr.resample(np.broadcast_to(samples, (len(samples), 2)), rate, RATE).T)


def estimated(separator, mixture):
    """Stems by name: the mean of what the networks make of the song, and of the song with its sides exchanged."""
    plain = separator.separate(mixture, RATE)
    turned = separator.separate(np.ascontiguousarray(mixture[::-1]), RATE)
    return {stem: (samples + turned[stem][::-1]) / 2 for stem, samples in plain.items()}


def kept(stems, mixture, guitar):
    """What is trained on: drums, bass, perhaps piano, and other, which is all the rest."""
    energy = {stem: float(np.sum(samples**2)) for stem, samples in stems.items()}
    least = {"drums": AUDIBLE, "bass": AUDIBLE, "piano": PIANO}
    chosen = {stem: stems[stem] for stem, share in least.items() if energy[stem] > share * sum(energy.values())}
    chosen["other"] = mixture - sum(chosen.values())
    if guitar is not None:
        n_samples = min(guitar.shape[1], mixture.shape[1])
        chosen["other"][:, :n_samples] += guitar[:, :n_samples]
    return chosen


def main():
    separator, folder, out = Separator(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("track", "stem", "path", "licence", "weight"))
        limit = int(sys.argv[4]) if len(sys.argv) > 4 else None
        for name, path, licence, guitar in islice(mixtures(), limit):
            mixture = samples_of(path)
            stems = estimated(separator, mixture)
            for stem, samples in kept(stems, mixture, None if guitar is None else samples_of(guitar)).items():
                target = folder / name / f"{stem}.wav"
                target.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(target, samples.T, RATE, "FLOAT")
                writer.writerow((name, stem, target.resolve(), licence, 1))


if __name__ == "__main__":
    main()
