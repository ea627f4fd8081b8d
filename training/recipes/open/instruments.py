"""Recorded instruments, played note by note: guitars, basses and pianos by samples, drums by their microphones.

Each note takes the recording nearest in pitch and loudness, one of several where there are several, so that no two
notes are the same; loudness is measured, not read from the name.
"""

import re
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 44100
SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


@dataclass(frozen=True)
class Note:
    """Times in seconds, key 60 = middle C, velocity 1 to 127."""

    start: float
    stop: float
    key: int
    velocity: int


@dataclass(frozen=True)
class Instrument:
    """Samples in files whose paths tell the note: ``pattern`` fits them below ``folder``, without their ending."""

    folder: str
    pattern: str
    kind: str  # piano, bass, acoustic, electric, voice
    release: float = 0.12  # seconds in which a released note falls by 60 dB, times five
    lowest: int | None = None  # the key of names without an octave
    octaves: int = 0  # by which names lie below what sounds

    def samples(self, root):
        """Key → paths, softest first."""
        return _sorted_samples(root, self)


INSTRUMENTS = [
    Instrument("karoryfer.shinyguitar/Samples/electric", r"([a-g]b?)(\d)_vl\d_rr\d_2", "electric"),
    Instrument("karoryfer.emilyguitar/notes", r"([a-g]b?)(\d)_[a-z]+_rr\d", "electric"),
    Instrument("karoryfer.shinyguitar/Samples/acoustic", r"([a-g]b?)(\d)_vl\d_rr\d_1", "acoustic"),
    Instrument("spanish-classical-guitar/samples", r"([A-G]#?)(\d)", "acoustic", 0.3),
    Instrument("karoryfer.growlybass/sustain", r"([a-g]b?)(\d)_[a-z]+_rr\d", "bass", octaves=-1),
    Instrument("karoryfer.growlybass/staccato", r"([a-g]b?)(\d)_staccato_rr\d", "bass", octaves=-1),
    Instrument("karoryfer.meatbass/Samples/pizz", r"([a-g]b?)(\d)_vl\d_rr\d", "bass"),
    Instrument("electric-bass-YR/samples/finger", r"([A-G]#?)()", "bass", lowest=28),
    Instrument("electric-bass-YR/samples/pick", r"([A-G]#?)()", "bass", lowest=28),
    Instrument("SplendidGrandPiano/Samples", r"(?:PP|Mp|Mf|MF|FF) ([A-G]#?)(\d)", "piano", 0.25, octaves=1),
    Instrument("BengtNilsson.HeadroomPiano/Samples", r"HEADROOM PIANO LEVEL\d CLOSE ()(\d+)", "piano", 0.25),
    Instrument("BengtNilsson.HeadroomPiano/Samples", r"HEADROOM PIANO LEVEL\d DECCA ()(\d+)", "piano", 0.25),
    Instrument("upright-piano-KW/samples", r"([A-G]#?)(\d)v[LH]", "piano", 0.25),
    Instrument("hitsuboku-kumi-chn", r"([A-D])(\d)/_.*", "voice", 0.05),  # Hitsuboku Kumi, by Cubialpha
    Instrument("scottpoid-ja", r"([A-G])(\d)/_.*・.*", "voice", 0.05),  # SCOTTPOID, by Scott
]


def key_of(name, octave, lowest):
    """The MIDI key of "db", "4"; of "C#" in the octave from ``lowest`` where none is named; of a plain number."""
    if not name:
        return int(octave)
    step = SEMITONES[name[0].lower()] + {"#": 1, "b": -1}.get(name[1:], 0)
    return lowest + (step - lowest) % 12 if not octave else 12 * (int(octave) + 1) + step


@cache
def _sorted_samples(root, instrument):
    found = {}
    folder = Path(root) / instrument.folder
    for path in sorted(folder.rglob("*.*")):
        match = re.fullmatch(instrument.pattern, path.relative_to(folder).with_suffix("").as_posix())
        if match and path.suffix in (".wav", ".flac"):
            key = key_of(*match.groups(), instrument.lowest) + 12 * instrument.octaves
            found.setdefault(key, []).append(path)
    if instrument.kind == "voice":
        return found  # syllables, of which any will do
    return {key: sorted(paths, key=lambda path: np.abs(_read(path)[:, :RATE]).mean()) for key, paths in found.items()}


@lru_cache(maxsize=400)
def _read(path):
    """(channels, samples) at 44.1 kHz, from where it begins to be heard, six seconds at most."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True, stop=6 * 48000)
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE)
    level = np.abs(samples).max(axis=1)
    start = int(np.argmax(level > 0.02 * level.max()))
    return np.ascontiguousarray(samples[max(0, start - 100) :].T)


def play(instrument, root, notes, seconds, random):
    """One take of ``notes``: (2, samples)."""
    samples = instrument.samples(root)
    keys = np.array(sorted(samples))
    detune, loose = random.normal(0, 0.05), random.uniform(0.002, 0.01)
    out = np.zeros((2, int(seconds * RATE) + RATE), np.float32)
    for note in notes:
        key = int(keys[np.argmin(np.abs(keys - note.key))])
        layers = samples[key]
        place = note.velocity / 127 * (len(layers) - 1) + random.normal(0, 0.08 * len(layers))
        if instrument.kind == "voice":
            place = random.integers(len(layers))
        sound = _read(layers[int(np.clip(round(place), 0, len(layers) - 1))])
        ratio = 2 ** ((note.key - key + detune) / 12)
        sound = _at_speed(sound, ratio)
        held = int(max(note.stop - note.start, 0.05) * RATE)
        sound = sound[:, : held + int(5 * instrument.release * RATE)]
        decay = np.exp(-np.arange(max(0, sound.shape[1] - held)) / (instrument.release * RATE / 1.4))
        gain = (note.velocity / 127) ** 0.6
        start = max(0, int((note.start + random.normal(0, loose)) * RATE))
        sound = gain * sound
        sound[:, held:] *= decay
        _add(sound, out, start)
    return out[:, : int(seconds * RATE)]


def _add(sound, out, start):
    """Add ``sound`` to ``out`` from ``start`` on, as far as it fits."""
    stop = min(out.shape[1], start + sound.shape[1])
    out[:, start:stop] += sound[:, : max(0, stop - start)]


def _at_speed(sound, ratio):
    positions = np.arange(0, sound.shape[1] - 1, ratio)
    whole = positions.astype(int)
    share = (positions - whole).astype(np.float32)
    return sound[:, whole] * (1 - share) + sound[:, whole + 1] * share


# What each key of General MIDI (and of the Roland TD-11 that the Groove data set was played on) hits in MuldjordKit.
PIECES = {
    **dict.fromkeys((35, 36), "KdrumR"),
    **dict.fromkeys((38, 40), "Snare"),
    37: "SnareRest",
    **dict.fromkeys((41, 43, 58), "Tom4"),
    45: "Tom3",
    47: "Tom2",
    **dict.fromkeys((48, 50), "Tom1"),
    **dict.fromkeys((42, 44, 22), "HihatClosed"),
    **dict.fromkeys((46, 26), "HihatOpen"),
    **dict.fromkeys((49, 55), "CrashL"),
    57: "CrashR",
    52: "China",
    **dict.fromkeys((51, 59), "RideR"),
    53: "RideRBell",
}
KIT = "DrumGizmo.MuldjordKit/DrumGizmo/MuldjordKit/Samples"
CLOSE = ("KdrumL", "KdrumR", "Snare_top", "Snare_bottom", "Tom1", "Tom2", "Tom3", "Tom4", "Hihat", "RideL", "RideR")


@dataclass
class Kit:
    """MuldjordKit behind a desk: every microphone has a random place and level, every piece a random tuning."""

    root: str
    random: np.random.Generator
    hits: dict = field(default_factory=dict)

    def __post_init__(self):
        random = self.random
        self.pans = {mic: random.uniform(0.3, 0.7) for mic in CLOSE} | {"KdrumL": 0.5, "KdrumR": 0.5}
        self.gains = {mic: 10 ** (random.uniform(-10, 8) / 20) for mic in CLOSE}
        self.overhead, self.room = 10 ** (random.uniform(-6, 3) / 20), 10 ** (random.uniform(-25, 3) / 20)
        self.tuning = {piece: 2 ** (random.normal(0, 0.12)) for piece in set(PIECES.values())}

    def hit(self, piece, number):
        """The stereo sound of one recorded hit."""
        if (piece, number) not in self.hits:

            def mic(name):
                path = Path(self.root) / KIT / piece / f"{number}-{piece}-{name}.flac"
                return soundfile.read(path, dtype="float32", stop=2 * RATE)[0] if path.exists() else np.zeros(1, "f4")

            sounds = [(mic("OHL"), self.overhead, 0.1), (mic("OHR"), self.overhead, 0.9)]
            sounds += [(mic("AmbL"), self.room, 0.0), (mic("AmbR"), self.room, 1.0)]
            sounds += [(mic(name), self.gains[name], self.pans[name]) for name in CLOSE]
            out = np.zeros((2, max(len(sound) for sound, _, _ in sounds)), np.float32)
            for sound, gain, pan in sounds:
                out[0, : len(sound)] += gain * np.cos(pan * np.pi / 2) * sound
                out[1, : len(sound)] += gain * np.sin(pan * np.pi / 2) * sound
            self.hits[piece, number] = _at_speed(out, self.tuning[piece])
        return self.hits[piece, number]

    def play(self, notes, seconds):
        """One performance: (2, samples)."""
        out = np.zeros((2, int(seconds * RATE) + 3 * RATE), np.float32)
        for note in notes:
            piece = PIECES.get(note.key)
            if piece is None:
                continue
            n_hits = _n_hits(self.root, piece)
            place = (note.velocity / 127) ** 1.2 * (n_hits - 1) + self.random.normal(0, 0.06 * n_hits)
            sound = self.hit(piece, int(np.clip(round(place), 0, n_hits - 1)) + 1)
            start = max(0, int(note.start * RATE))
            _add((note.velocity / 127) ** 0.7 * sound, out, start)
        return out[:, : int(seconds * RATE)]


@cache
def _n_hits(root, piece):
    return len(list((Path(root) / KIT / piece).glob("*-OHL.flac")))
