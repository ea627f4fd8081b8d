"""Who plays a part: a synthesizer with a sound font, or recorded instruments, and what the sound goes through."""

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

import scores
from drums import Kit
from effects import chain, room, through, tone
from instruments import INSTRUMENTS, RATE, play
from sources import DRUM_FONTS, SOUND_FONTS
from synthesizer import play_bass

KITS = [0, 0, 8, 16, 24, 25, 32, 40, 48]
DOUBLED = {"distorted": 0.6, "electric": 0.2, "voice": 0.3}  # how often two takes are heard, one on each side
SYNTHESIZED_BASS = 0.35
LEADS = [*range(24, 31), *range(40, 44), *range(48, 54), *range(56, 88)]  # guitars, strings, winds, synthesizers


def perform(song, channels, stem, root, recorded, random):
    """The channels (channel → program) of ``song`` together: (2, samples), as they might sound on a record.

    ``recorded`` is the share of guitars, basses, pianos and drums that recorded instruments play.
    """
    out = np.zeros((2, int(song.length * RATE) + RATE), np.float32)
    for channel, program in channels.items():
        sound = _part(song, channel, program, stem, root, recorded, random)[:, : out.shape[1]]
        level = np.sqrt(np.mean(sound**2)) + 1e-9
        pan = 0.5 if stem in ("drums", "bass") or len(channels) == 1 else random.uniform(0.25, 0.75)
        gains = np.array([[np.cos(pan * np.pi / 2)], [np.sin(pan * np.pi / 2)]]) * np.sqrt(2)
        out[:, : sound.shape[1]] += 0.1 / level * 10 ** (random.uniform(-8, 0) / 20) * gains * sound
    return out / max(1.0, np.abs(out).max() / 0.9)


def _part(song, channel, program, stem, root, recorded, random):
    notes = scores.notes(song, channel)
    seconds = song.length + 1
    kind = {"vocals": "voice", "drums": "drums", "bass": "bass", "piano": "piano"}.get(stem) or _kind_of(program)
    if kind is None or (kind != "voice" and random.random() >= recorded):
        sound = synthesized(song, channel, _program_like(stem, program, random), stem, random)
        effects = chain("distorted", random) if kind == "distorted" else []
        return through(effects or (tone(random) + room(random) if random.random() < 0.5 else []), sound)
    if kind == "drums":
        return through(chain(kind, random), Kit(root, random).play(notes, seconds))
    if kind == "bass" and random.random() < SYNTHESIZED_BASS:
        return through(chain(kind, random), play_bass(notes, seconds, random))
    played = "electric" if kind == "distorted" else kind
    instruments = [instrument for instrument in INSTRUMENTS if instrument.kind == played]
    instrument = instruments[random.integers(len(instruments))]
    effects = chain(kind, random)
    if kind == "voice":
        notes = _in_range(notes, instrument.samples(root))
    sound = play(instrument, root, notes, seconds, random)
    if random.random() < DOUBLED.get(kind, 0):
        width = random.uniform(0, 0.3)
        a, b = (
            through(effects, take.mean(0, keepdims=True).repeat(2, 0))[0]
            for take in (sound, play(instrument, root, notes, seconds, random))
        )
        return np.stack([a + width * b, b + width * a])
    return through(effects, sound)


def _in_range(notes, samples):
    """The notes in the octave that suits a voice best."""
    middle = np.mean([note.key for note in notes]) if notes else 60
    octaves = round((np.mean(list(samples)) - middle) / 12)
    return [replace(note, key=note.key + 12 * octaves) for note in notes]


def _kind_of(program):
    """Which recorded instrument plays a General MIDI program of "other"; None for one that we have no recording of."""
    if program in (24, 25):
        return "acoustic"
    if program in (26, 27, 28):
        return "electric"
    if program in range(16, 21):
        return "organ"
    if program in range(64, 68):
        return "saxophone"
    return "distorted" if program in (29, 30, 31) else None


def _program_like(stem, program, random):
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


def synthesized(song, channel, program, stem, random):
    """One channel of ``song`` by FluidSynth, with a random sound font and room: (2, samples)."""
    fonts = DRUM_FONTS if stem == "drums" and random.random() < 0.4 else SOUND_FONTS
    with tempfile.TemporaryDirectory() as folder:
        midi, out = Path(folder) / "part.mid", Path(folder) / "part.wav"
        scores.only(song, [channel], {channel: 0 if fonts is DRUM_FONTS else program}).save(midi)
        command = ["fluidsynth", "-niq", "-g", "0.6", "-r", str(RATE), "-o", "synth.dynamic-sample-loading=1"]
        command += ["-o", f"synth.reverb.room-size={random.uniform(0.2, 0.9):.2f}"]
        command += ["-o", f"synth.reverb.level={random.random():.2f}", "-T", "wav", "-F", out]
        command += ["-o", f"synth.chorus.level={random.uniform(0, 0.5):.2f}"]
        command += [fonts[random.integers(len(fonts))], midi]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return soundfile.read(out, dtype="float32", always_2d=True)[0].T
