"""Recorded instruments, played note by note.

Each note takes the recording nearest in pitch and loudness, one of several where there are several, so that no two
notes are the same; loudness is measured, not read from the name.
"""

import re
from dataclasses import dataclass
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
    kind: str  # piano, bass, acoustic, electric, organ, saxophone, voice
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
    Instrument(
        "Discord-SFZ-GM-Bank/Discord GM/Melodic/026-Acoustic Guitar (steel)",
        r"MartinGM2_()(\d+)_.*",
        "acoustic",
        0.3,
    ),
    Instrument("karoryfer.growlybass/sustain", r"([a-g]b?)(\d)_[a-z]+_rr\d", "bass", octaves=-1),
    Instrument("karoryfer.growlybass/staccato", r"([a-g]b?)(\d)_staccato_rr\d", "bass", octaves=-1),
    Instrument("karoryfer.meatbass/Samples/pizz", r"([a-g]b?)(\d)_vl\d_rr\d", "bass"),
    Instrument("dsmolken.double-bass/pizz", r"pizz_([a-g]b?)(\d)_[fmp][a-d]", "bass"),
    *(
        Instrument(f"karoryfer.pastabass/samples/{strings}", r"([a-g]b?)(\d)_vl\d_rr\d", "bass", octaves=-1)
        for strings in ("fetuccine", "linguine", "spaghetti", "tagliatelle")
    ),
    Instrument("karoryfer.swagbass/notes", r"([a-g]b?)(\d)_[fp]+_rr\d", "bass", octaves=-1),
    Instrument(
        "Discord-SFZ-GM-Bank/Discord GM/Melodic/034-Electric Bass (finger)",
        r"killer_bass_([a-g]b?)(\d)_vl\d",
        "bass",
        octaves=-1,
    ),
    Instrument("electric-bass-YR/samples/finger", r"([A-G]#?)()", "bass", lowest=28),
    Instrument("electric-bass-YR/samples/pick", r"([A-G]#?)()", "bass", lowest=28),
    Instrument("SplendidGrandPiano/Samples", r"(?:PP|Mp|Mf|MF|FF) ([A-G]#?)(\d)", "piano", 0.25, octaves=1),
    Instrument("BengtNilsson.HeadroomPiano/Samples", r"HEADROOM PIANO LEVEL\d CLOSE ()(\d+)", "piano", 0.25),
    Instrument("BengtNilsson.HeadroomPiano/Samples", r"HEADROOM PIANO LEVEL\d DECCA ()(\d+)", "piano", 0.25),
    Instrument("upright-piano-KW/samples", r"([A-G]#?)(\d)v[LH]", "piano", 0.25),
    Instrument("GregSullivan.E-Pianos/CP80/Samples", r"()(\d+)-[A-G]#?\d-[A-Z]+", "piano", 0.25),
    Instrument("GregSullivan.E-Pianos/Pianet T/Samples", r"()(\d+)_[A-G]#?\d_(?:FF|P)", "piano", 0.2),
    Instrument("GregSullivan.E-Pianos/Wurlitzer EP200/Samples", r"([a-g]b?)(\d)(?:pp|mp|ff?)", "piano", 0.2),
    *(
        Instrument("karoryfer.caveman-cosmonaut/Samples", rf"{stop}_([a-g]b?)(\d)", "organ", 0.05)
        for stop in ("all_all_all", "clarinet", "flutes", "tremolo", "trombone", "trompette", "violin")
    ),
    Instrument("karoryfer.weresax/Samples/alto", r"([a-g]b?)(\d)_[fp]_rr\d_cnd", "saxophone", octaves=1),
    Instrument("karoryfer.weresax/Samples/alto", r"([a-g]b?)(\d)_[fp]_rr\d_dnm", "saxophone", octaves=1),
    Instrument("karoryfer.bear-sax/Samples", r"([a-g]b?)(\d)_looped_[a-z]+", "saxophone", octaves=1),
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
    return {key: sorted(paths, key=lambda path: np.abs(read(path)[:, :RATE]).mean()) for key, paths in found.items()}


@lru_cache(maxsize=400)
def read(path, trimmed=True):
    """(channels, samples) at 44.1 kHz, six seconds at most, from where it begins to be heard if ``trimmed``."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True, stop=6 * 48000)
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE)
    level = np.abs(samples).max(axis=1)
    start = int(np.argmax(level > 0.02 * level.max())) if trimmed else 0
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
        sound = read(layers[int(np.clip(round(place), 0, len(layers) - 1))])
        ratio = 2 ** ((note.key - key + detune) / 12)
        sound = at_speed(sound, ratio)
        held = int(max(note.stop - note.start, 0.05) * RATE)
        sound = sound[:, : held + int(5 * instrument.release * RATE)]
        decay = np.exp(-np.arange(max(0, sound.shape[1] - held)) / (instrument.release * RATE / 1.4))
        gain = (note.velocity / 127) ** 0.6
        start = max(0, int((note.start + random.normal(0, loose)) * RATE))
        sound = gain * sound
        sound[:, held:] *= decay
        add(sound, out, start)
    return out[:, : int(seconds * RATE)]


def add(sound, out, start):
    """Add ``sound`` to ``out`` from ``start`` on, as far as it fits."""
    stop = min(out.shape[1], start + sound.shape[1])
    out[:, start:stop] += sound[:, : max(0, stop - start)]


def at_speed(sound, ratio):
    """``sound`` with all its pitches times ``ratio``."""
    positions = np.arange(0, sound.shape[1] - 1, ratio)
    whole = positions.astype(int)
    share = (positions - whole).astype(np.float32)
    return sound[:, whole] * (1 - share) + sound[:, whole + 1] * share
