"""Songs played by a sound font that training never heard, to measure with: a folder of stems for each.

    python unseen.py OUT --data CLONES [--songs 12]

`unweave evaluate OUT -p unweave:5stems` scores them, piano included. The sound font is TimGM6mb (GPL-2), of Debian's
package timgm6mb-soundfont; nothing rendered with it is trained on.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile

import players
import render
import scores
from instruments import RATE

FONT = "/usr/share/sounds/sf2/TimGM6mb.sf2"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=12)
    arguments = parser.parse_args()
    players.SOUND_FONTS = players.DRUM_FONTS = (FONT,)
    random = np.random.default_rng(99)
    n_done = 0
    for number, style in enumerate(random.permutation(scores.styles())):
        if n_done == arguments.songs:
            break
        made = render.one_song(number, str(style), random)
        if not made or not {"piano", "drums", "bass", "other"} <= set(made[2]):
            continue
        name, song, stems = made
        song = scores.excerpt(song, 20, random)
        folder = arguments.out / name.replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        for stem, channels in stems.items():
            sound = players.perform(song, channels, stem, arguments.data, 0.0, random)
            level = np.sqrt(np.mean(sound**2)) + 1e-9
            soundfile.write(folder / f"{stem}.wav", 0.08 / level * sound.T, RATE, subtype="FLOAT")
        n_done += 1
        print(folder, flush=True)


if __name__ == "__main__":
    main()
