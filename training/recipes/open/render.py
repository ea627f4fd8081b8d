"""Render songs with true stems from notes and sound fonts, as many as are asked for, the same for the same seed.

    python render.py OUT --pop909 CLONE --groove CLONE [--songs 160] [--pop 80] [--drummers 160] [--jobs 2]

Writes flac files and list.csv, which `unweave train` reads. A part that is there already is not rendered again.
"""

import argparse
import csv
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import mido
import numpy as np

import scores
from sources import GROOVE, POP909, RENDERED_LICENCE, SOUND_FONTS

LEADS = [*range(24, 31), *range(40, 44), *range(48, 54), *range(56, 88)]  # guitars, strings, winds, synthesizers
KITS = [0, 0, 8, 16, 24, 25, 32, 40, 48]
LONGEST_SECONDS = 45


def render(song, path, random):
    """Play ``song`` with a random sound font into ``path`` (flac), with a random room."""
    with tempfile.NamedTemporaryFile(suffix=".mid") as midi:
        song.save(midi.name)
        wet = random.random()
        options = ["-o", f"synth.reverb.room-size={0.2 + 0.7 * random.random():.2f}"]
        options += ["-o", f"synth.reverb.level={wet:.2f}", "-o", f"synth.chorus.level={0.5 * random.random():.2f}"]
        partial = path.with_suffix(".part")
        command = [
            "fluidsynth",
            "-niq",
            "-g",
            "0.6",
            "-r",
            "44100",
            "-o",
            "synth.dynamic-sample-loading=1",
            *options,
            "-T",
            "flac",
            "-F",
            partial,
        ]
        subprocess.run(
            [*command, SOUND_FONTS[random.integers(len(SOUND_FONTS))], midi.name],
            check=True,
            capture_output=True,
            timeout=120,
        )
    partial.rename(path)


def program_like(stem, program, random):
    """Another program of the same part, so that no sound stands for a stem."""
    if stem == "drums":
        return int(random.choice(KITS))
    if stem == "bass":
        return int(random.integers(32, 40))
    if stem == "piano":
        return int(random.choice([0, 0, 1, 1, 2, 3, 4, 5]))
    if random.random() < 0.5:
        return program
    family = program // 8 * 8
    return int(random.integers(family, family + 8)) if family else int(random.choice(LEADS))


def one_song(task):
    """All stems of one MMA song: rows for the list."""
    number, style, folder, seed = task
    random = np.random.default_rng((seed, number))
    with tempfile.TemporaryDirectory() as temporary:
        try:
            song = scores.accompaniment(style, random, Path(temporary))
        except subprocess.TimeoutExpired:
            return []
    if song is None or song.length < 8:
        return []
    found, rows = scores.parts(song), []
    for stem in sorted({stem for stem, _ in found.values()}):
        channels = [channel for channel, (own, _) in found.items() if own == stem]
        programs = {channel: program_like(stem, found[channel][1], random) for channel in channels}
        path = folder / f"mma-{number:04}-{stem}.flac"
        if not path.exists():
            render(_shortened(scores.only(song, channels, programs)), path, random)
        rows.append((f"mma-{number:04}-{style}", stem, path.name, RENDERED_LICENCE, 1))
    return rows


def one_pop(task):
    """The piano of one song of POP909, and its melodies on other instruments."""
    number, midi, folder, seed = task
    random = np.random.default_rng((seed, 1, number))
    rows = []
    for name, song in scores.pop_parts(mido.MidiFile(midi)).items():
        stem = "piano" if name == "PIANO" else "other"
        (channel,) = {m.channel for track in song.tracks for m in track if m.type == "note_on"} or {None}
        if channel is None:
            continue
        program = program_like("piano", 0, random) if stem == "piano" else int(random.choice(LEADS))
        path = folder / f"pop-{number:03}-{name.lower()}.flac"
        if not path.exists():
            render(_shortened(scores.only(song, [channel], {channel: program})), path, random)
        rows.append((f"pop-{number:03}-{name.lower()}", stem, path.name, POP909.licence, 0.7))
    return rows


def one_drummer(task):
    """One performance of the Groove data set."""
    number, midi, folder, seed = task
    random = np.random.default_rng((seed, 2, number))
    path = folder / f"groove-{number:04}.flac"
    if not path.exists():
        song = _shortened(mido.MidiFile(midi))
        channels = {m.channel for track in song.tracks for m in track if m.type == "note_on"}
        kit = int(random.choice(KITS))
        render(scores.only(song, sorted(channels), dict.fromkeys(channels, kit)), path, random)
    return [(f"groove-{number:04}", "drums", path.name, GROOVE.licence, 1)]


def _shortened(song):
    """The first minute or so of ``song``."""
    tempo = next((m.tempo for track in song.tracks for m in track if m.type == "set_tempo"), 500_000)
    latest = mido.second2tick(LONGEST_SECONDS, song.ticks_per_beat, tempo)
    for track in song.tracks:
        time, written, kept = 0, 0, mido.MidiTrack()
        for message in track:
            time += message.time
            if time <= latest or not (message.type == "note_on" and message.velocity):
                place = min(time, latest)  # a note that has begun must end
                kept.append(message.copy(time=place - written))
                written = place
        track[:] = kept
    return song


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pop909", type=Path, required=True, help=f"a clone of {POP909.name} at {POP909.commit[:8]}")
    parser.add_argument("--groove", type=Path, required=True, help=f"a clone of {GROOVE.name} at {GROOVE.commit[:8]}")
    parser.add_argument("--songs", type=int, default=160)
    parser.add_argument("--pop", type=int, default=80)
    parser.add_argument("--drummers", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    out, seed = arguments.out, arguments.seed
    out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    styles = random.permutation(scores.styles())[: arguments.songs]
    pop = sorted((arguments.pop909 / "POP909").glob("*/*.mid"))
    drummers = sorted(p for p in (arguments.groove / "groove").rglob("*.mid") if "_beat_" in p.name)
    pop = [pop[i] for i in sorted(random.permutation(len(pop))[: arguments.pop])]
    drummers = [drummers[i] for i in sorted(random.permutation(len(drummers))[: arguments.drummers])]
    rows = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for function, tasks in ((one_drummer, drummers), (one_pop, pop), (one_song, styles)):
            for done in pool.map(function, [(i, task, out, seed) for i, task in enumerate(tasks)]):
                rows += done
            print(f"{function.__name__}: {len(rows)} stems so far", flush=True)
    with (out / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("track", "stem", "path", "licence", "weight"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
