"""Drums, hit by hit: kits by their microphones, single sounds, and a drum machine of sines and noise.

A `Kit` is put together anew for every performance, as on records: a recorded kit as it stands, its kick or snare taken
from elsewhere, single sounds from anywhere, or a drum machine.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from pedalboard import HighpassFilter, LowpassFilter, Pedalboard

from instruments import RATE, add, at_speed, read
from sources import HYDROGEN, SONIC_PI

# What each key of General MIDI (and of the Roland TD-11 that the Groove data set was played on) hits.
PIECES = {
    **dict.fromkeys((35, 36), "kick"),
    **dict.fromkeys((38, 40), "snare"),
    37: "rim",
    39: "clap",
    **dict.fromkeys((41, 43, 58), "low tom"),
    **dict.fromkeys((45, 47), "mid tom"),
    **dict.fromkeys((48, 50), "high tom"),
    **dict.fromkeys((42, 44, 22), "closed hat"),
    **dict.fromkeys((46, 26), "open hat"),
    **dict.fromkeys((49, 52, 55, 57), "crash"),
    **dict.fromkeys((51, 59), "ride"),
    53: "bell",
}
# Peak of single sounds in dB beside the kick's; kits by their microphones keep their own balance.
LEVELS = {"snare": -1, "rim": -8, "clap": -4, "closed hat": -13, "open hat": -11, "crash": -8, "ride": -13, "bell": -14}
TOMS_DB = -4


@dataclass(frozen=True)
class Hits:
    """Recorded hits of one piece: files below ``folder`` that fit ``pattern``, with their hit and their microphone."""

    folder: str
    pattern: str  # (?P<hit>…), and (?P<mic>…) where there are several

    def sounds(self, root):
        """Microphone → path for each hit, softest first."""
        return _sorted_hits(root, self)


@cache
def _sorted_hits(root, hits):
    folder = Path(root) / hits.folder
    found = {}
    for path in sorted(folder.rglob("*.*")):
        match = re.fullmatch(hits.pattern, path.relative_to(folder).as_posix().rsplit(".", 1)[0])
        if match and path.suffix in (".wav", ".flac", ".aiff", ".ogg"):
            named = match.groupdict()
            found.setdefault(named.get("hit", ""), {})[named.get("mic", "")] = path
    if not found:
        raise FileNotFoundError(f"{folder} has no {hits.pattern}")
    return sorted(found.values(), key=lambda mics: np.abs(read(next(iter(mics.values())))).mean())


def _kit(folder, pattern, names):
    """Piece → its recordings, of which a performance takes one; ``pattern`` has a place for each name."""
    return {
        piece: [Hits(folder, pattern.replace("{0}", name)) for name in ([of] if isinstance(of, str) else of)]
        for piece, of in names.items()
    }


BASS_DRUMS = ("808", "ada", "boom", "fat", "gas", "haus", "klub", "pure", "sone", "tek", "zome", "zum")
WHOLE = [
    _kit(
        "DrumGizmo.MuldjordKit/DrumGizmo/MuldjordKit/Samples",
        r"{0}/(?P<hit>\d+)-{0}-(?P<mic>\w+)",
        {
            "kick": "KdrumR",
            "snare": "Snare",
            "rim": "SnareRest",
            "low tom": "Tom4",
            "mid tom": ["Tom2", "Tom3"],
            "high tom": "Tom1",
            "closed hat": "HihatClosed",
            "open hat": "HihatOpen",
            "crash": ["CrashL", "CrashR", "China"],
            "ride": "RideR",
            "bell": "RideRBell",
        },
    ),
    _kit(
        "karoryfer.gogodze-phu-vol-ii/Samples",
        r"(?P<mic>\w+)_mic/{0}_(?P<hit>vl\d+_rr\d+)",
        {
            "kick": "ks",
            "snare": ["sc", "se"],
            "rim": "ss",
            "low tom": "tl",
            "mid tom": "tm",
            "high tom": "th",
            "closed hat": ["hc", "ht"],
            "open hat": ["ho", "hl"],
        },
    ),
]
ACOUSTIC = [
    _kit(
        f"{HYDROGEN}/BJA_Pacific",
        r"{0}_(?P<hit>\d+)",
        {
            "kick": "BD",
            "snare": ["SN", "SN4"],
            "low tom": "TM2",
            "high tom": "TM",
            "closed hat": "HH",
            "open hat": ["HH2", "HH3"],
            "crash": ["CB", "CB2"],
            "ride": ["RD", "RD2"],
            "bell": "BL",
        },
    ),
    _kit(
        f"{HYDROGEN}/ColomboAcousticDrumkit",
        "{0}",
        {
            "kick": r"bassdrum(?P<hit>.*)",
            "snare": [r".*2mics_normal-shot1", r".*mic-normal_shot(?P<hit>.)", r".*rimshot(?P<hit>.)"],
            "rim": "stick-rim-9",
            "low tom": "tom-low-1",
            "mid tom": "tom-mid-1",
            "high tom": "tom-hi-1",
            "closed hat": r"hihat-closed-(?P<hit>.)",
            "open hat": r"hihat-(semi-)?open-(?P<hit>.)",
            "crash": ["crash16i__crash1", "crash20i__crash"],
            "ride": ["crash16i__ride2", "crash20i__ride4"],
            "bell": ["crash16i__ride_cup4", "crash20i__ride-cup1"],
        },
    ),
    _kit(
        "sampled/DRUMS/pearl-master-studio/samples",
        "{0}",
        {
            "kick": "kick-01",
            "snare": ["snare-01", "snare-02", "snare-03"],
            "low tom": "tom-03",
            "mid tom": "tom-02",
            "high tom": "tom-01",
            "closed hat": "hihat-closed",
            "open hat": "hihat-open",
            "crash": ["crash-01", "crash-02", "splash-01", "splash-02"],
            "ride": ["ride-01", "ride-02"],
        },
    ),
]
PROGRAMMED = [
    _kit(
        f"{HYDROGEN}/VariBreaks",
        "VP {0}",
        {
            "kick": ["Kick 1", "Kick 2", "Kick 3"],
            "snare": ["Snare 1", "Snare 2", "Snare 3"],
            "low tom": "Tom Low",
            "mid tom": "Tom Mid",
            "high tom": "Tom Hi",
            "closed hat": ["Hat 1 Cl", "Hat 2 Cl", "Hat 3 Cl"],
            "open hat": "Hat 1 Op",
        },
    ),
    _kit(
        f"{HYDROGEN}/ElectricEmpireKit",
        "EE_{0}",
        {
            "kick": [f"Kick_{kind}" for kind in ("Dist", "Hard_1", "Hard_2", "Lite_1", "Lite_2", "Low_1", "Low_2")]
            + [f"Kick_{kind}" for kind in ("Nz", "Old", "Power", "Ring", "Stomp")],
            "snare": ["Snare_1", "Snare_2", "Snare_3", "Snare_Low", "Snare_Ring"],
            "clap": ["Clap", "Clap_Hard"],
            "closed hat": ["Hat_Cl_Bs", "Hat_Cl_Dirty", "Hat_Low"],
            "open hat": ["Hat_Op_Dirty", "Hat_Op_Phaser", "Hat_Ring_1"],
            "low tom": "Drum_1",
            "high tom": "Drum_2",
        },
    ),
    _kit(
        f"{HYDROGEN}/HardElectro1",
        "{0}",
        {
            "kick": ["HardHse_K_02", "HardHse_K_03_B", "PowR_BD_1"],
            "snare": "PowR_SN_1",
            "clap": ["Amp_Clap_1", "Clap_1"],
            "closed hat": ["CHH_1", "Hard_CHH_01", "Hard_CHH_02", "PowR_HH_1"],
            "open hat": ["Hard_Hse_OHH_1", "PowR_HH_2"],
        },
    ),
    _kit(
        SONIC_PI,
        "{0}",
        {
            "kick": [f"bd_{name}" for name in BASS_DRUMS]
            + [r"drum_bass_(?P<hit>.*)", "drum_heavy_kick", "elec_hollow_kick", "elec_soft_kick"],
            "snare": [f"sn_{name}" for name in ("dolf", "dub", "generic", "zome")]
            + [r"drum_snare_(?P<hit>.*)", "elec_snare", "elec_hi_snare", "elec_mid_snare", "elec_lo_snare"],
            "low tom": r"drum_tom_lo_(?P<hit>.*)",
            "mid tom": r"drum_tom_mid_(?P<hit>.*)",
            "high tom": r"drum_tom_hi_(?P<hit>.*)",
            "closed hat": ["drum_cymbal_closed", "drum_cymbal_pedal"],
            "open hat": "drum_cymbal_open",
            "crash": [r"drum_cymbal_(?P<hit>soft|hard)", r"drum_splash_(?P<hit>.*)"],
            "bell": "drum_cowbell",
        },
    ),
    _kit(
        "uzu-drumkit",
        "{0}",
        {
            "kick": [f"bd/{name}_bd_switchangel" for name in (10, 14, 15, 16, 17)]
            + [f"bd/{name}_bd_mot4i" for name in (11, 12, 13)],
            "snare": ["sd/10_sd_switchangel-bounce-2", "sd/11_sd_switchangel_3", r"sd/1(?P<hit>2|3)_sd_switchangel_2"],
            "rim": ["rim/10_rim_switchangel", "rim/11_rim_switch_angel"],
            "clap": ["cp/10_cp_switchangel", "cp/11_cp_mot4i"],
            "low tom": "lt/10_lt_mot4i",
            "mid tom": "mt/10_mt_mot4i",
            "high tom": "ht/10_ht_mot4i",
            "closed hat": [f"hh/{name}_hh_switchangel" for name in (10, 12, 13)] + ["hh/11_hh_mot4i", "hh/14_hh_mot4i"],
            "open hat": [f"oh/{name}_oh_switchangel" for name in (10, 11, 12, 13)],
            "crash": ["cr/10_cr_switchangel", "cr/11_cr_mot4i"],
            "ride": "rd/10_rd_switchangel",
            "bell": "cb/10_perc_switchangel",
        },
    ),
]
# Several machines, of which any sound goes with any.
MACHINES = _kit(
    "drum-machines",
    "{0}",
    {
        "kick": [f"{name}/kick" for name in ("808-mini", "Casio-RZ1", "Casio-SK1", "MFB-512", "Roland-CR-8000")]
        + [f"TR-808/kick/bd{tuning}" for tuning in ("0025", "1050", "2575", "5010", "7550")]
        + ["LM-2/kick", "LM-2/kick-alt", "Sequential-Circuits-Drumtraks/DT_Kick", "Yamaha-MR10/kick1"],
        "snare": [f"{name}/snare" for name in ("Casio-RZ1", "Casio-SK1", "MFB-512", "Roland-CR-8000", "Yamaha-MR10")]
        + [f"TR-808/snare/sd{tuning}" for tuning in ("0025", "1050", "2575", "5010", "7550")]
        + ["808-mini/snare-1", "808-mini/snare-2", "808-mini/snare-3", "LM-2/snare-h", "LM-2/snare-m"]
        + ["Micro-Rhythmer-12/univox-sd", "Sequential-Circuits-Drumtraks/DT_Snare", "Yamaha-MR10/shortsn"],
        "rim": [
            "LM-2/stick-m",
            "Roland-CR-8000/rimshot",
            "Sequential-Circuits-Drumtraks/DT_Rimshot",
            "TR-808/rimshot/rs",
        ],
        "clap": [f"{name}/clap" for name in ("Casio-RZ1", "LM-2", "MFB-512", "Roland-CR-8000")]
        + ["Sequential-Circuits-Drumtraks/DT_Clap", "TR-808/clap/cp"],
        "low tom": [f"{name}/tom-low" for name in ("808-mini", "Casio-SK1", "MFB-512", "Roland-CR-8000")]
        + ["Casio-RZ1/tom-3", "LM-2/tom-ll", "TR-808/tom-low/lt50", "Yamaha-MR10/lowtom"],
        "mid tom": ["808-mini/tom-mid", "Casio-RZ1/tom-2", "LM-2/tom-m", "MFB-512/tom-mid", "TR-808/mid-tom/mt50"],
        "high tom": ["808-mini/tom-high", "Casio-RZ1/tom-1", "LM-2/tom-h", "TR-808/tom-hi/ht50", "Yamaha-MR10/hitom"],
        "closed hat": [f"{name}/hihat-closed" for name in ("Casio-RZ1", "MFB-512", "Roland-CR-8000")]
        + ["808-mini/hhclosed-1", "LM-2/hhclosed-short", "LM-2/hhclosed", "Micro-Rhythmer-12/univox-ch"]
        + ["Casio-SK1/hithat", "Sequential-Circuits-Drumtraks/DT_Closedhat", "TR-808/hihat-close/ch"]
        + ["Yamaha-MR10/chihat", "Yamaha-MR10/shorthi"],
        "open hat": [f"{name}/hihat-open" for name in ("Casio-RZ1", "Casio-SK1", "MFB-512", "Roland-CR-8000")]
        + ["808-mini/hhopen-1", "LM-2/hhopen", "Micro-Rhythmer-12/univox-oh", "TR-808/hihat-open/oh25"]
        + ["Sequential-Circuits-Drumtraks/DT_Openhat", "Yamaha-MR10/ohihat"],
        "crash": [f"{name}/crash" for name in ("808-mini", "Casio-RZ1", "LM-2")]
        + ["MFB-512/cymbal", "Roland-CR-8000/cymball"]
        + ["Sequential-Circuits-Drumtraks/DT_Crash", "TR-808/cymbal/cy5025", "Yamaha-MR10/crash"],
        "ride": ["808-mini/ride", "Casio-RZ1/ride", "LM-2/ride", "Sequential-Circuits-Drumtraks/DT_Ride"],
        "bell": ["Casio-RZ1/cowbell", "LM-2/cowbell", "Roland-CR-8000/cowbell", "TR-808/cowbell/cb"],
    },
)
SINGLE = [*ACOUSTIC, *PROGRAMMED, MACHINES]
ELECTRONIC = [*PROGRAMMED, MACHINES, MACHINES]  # the machines are many, and drawn twice as often as one kit
SNARES = [
    Hits("karoryfer.frankensnare/Samples", rf"{name}_basic/(?P<mic>top|btm|oh)/sn_(?P<hit>vl\d+_rr\d+)")
    for name in ("10", "12", "13b", "14a", "14d", "14p", "14s", "14t", "16")
]


@dataclass
class Kit:
    """One kit behind one desk: every microphone has a place and a level, every piece a tuning and a length."""

    root: str
    random: np.random.Generator
    chosen: dict = field(default_factory=dict)  # piece → Hits, or None for the drum machine
    settings: dict = field(default_factory=dict)  # piece → tuning, gain, seconds until it is muted
    hits: dict = field(default_factory=dict)

    def __post_init__(self):
        random = self.random
        self.overhead, self.room = 10 ** (random.uniform(-6, 3) / 20), 10 ** (random.uniform(-25, 3) / 20)
        self.mics = {}
        kind = random.choice(["whole", "mended", "single", "mixed", "electronic"], p=[0.3, 0.2, 0.15, 0.1, 0.25])
        whole, single = WHOLE[random.integers(len(WHOLE))], ACOUSTIC[random.integers(len(ACOUSTIC))]
        for piece in sorted(set(PIECES.values())):
            if kind == "electronic":
                kits, machine = ELECTRONIC, 0.5
            elif kind == "mixed":
                kits, machine = SINGLE, 0.15
            else:
                kits, machine = [single if kind == "single" else whole], 0.0
            if kind == "mended" and piece == "kick":
                kits, machine = SINGLE, 0.2
            self._choose(piece, kits, machine)
            if kind == "mended" and piece == "snare" and random.random() < 0.7:
                self.chosen[piece] = SNARES[random.integers(len(SNARES))]
        self.is_short = random.random() < 0.3  # gated, or cut by the sampler

    def _choose(self, piece, kits, machine):
        random = self.random
        kits = [kit for kit in kits if piece in kit]
        if random.random() < machine or (machine and not kits):
            self.chosen[piece] = None
            return
        kits = kits or [kit for kit in (*WHOLE, *SINGLE) if piece in kit]  # some kit has each piece
        choices = kits[random.integers(len(kits))][piece]
        self.chosen[piece] = choices[random.integers(len(choices))]

    def _settings(self, piece):
        """Tuning, gain and length of a piece, and of the drum machine the very sound."""
        if piece not in self.settings:
            random, chosen = self.random, self.chosen[piece]
            tuning = 2 ** random.normal(0, 0.12)
            length = random.uniform(0.08, 0.4) if self.is_short or random.random() < 0.1 else None
            gain = 10 ** (random.normal(0, 2) / 20)
            if chosen is None or len(chosen.sounds(self.root)[0]) < 3:
                gain *= 10 ** (LEVELS.get(piece, TOMS_DB if "tom" in piece else 0) / 20)
            self.settings[piece] = tuning, gain, length, None if chosen else machine(piece, random)
        return self.settings[piece]

    def hit(self, piece, loudness):
        """The stereo sound of one hit, ``loudness`` of 0 to 1."""
        tuning, gain, length, made = self._settings(piece)
        if made is not None:
            return gain * made
        hits = self.chosen[piece].sounds(self.root)
        place = loudness**1.2 * (len(hits) - 1) + self.random.normal(0, 0.06 * len(hits))
        number = int(np.clip(round(place), 0, len(hits) - 1))
        if (piece, number) not in self.hits:
            sound = at_speed(self._desk(hits[number]), tuning)
            if len(hits[number]) < 3:  # single sounds come at any level
                sound /= max(np.abs(sound).max(), 1e-3)
            if length:
                time = np.arange(sound.shape[1]) / RATE
                sound *= np.exp(-np.maximum(0, time - length) / 0.02)
            self.hits[piece, number] = gain * sound.astype(np.float32)
        return self.hits[piece, number]

    def _desk(self, mics):
        """All microphones of one hit together."""
        sounds = []
        for mic, path in mics.items():
            sound = read(path, trimmed=len(mics) == 1)[:, : 2 * RATE]
            gain, pan = self._place(mic) if len(mics) > 1 else (1.0, 0.5)
            if len(sound) == 1:
                sound = np.sqrt(2) * np.concatenate([np.cos(pan * np.pi / 2) * sound, np.sin(pan * np.pi / 2) * sound])
            sounds.append(gain * sound)
        out = np.zeros((2, max(sound.shape[1] for sound in sounds)), np.float32)
        for sound in sounds:
            out[:, : sound.shape[1]] += sound[:2]
        return out

    def _place(self, mic):
        """Gain and pan (0 left, 1 right) of a microphone, the same for every hit."""
        if mic not in self.mics:
            random = self.random
            if mic in ("OHL", "OHR", "oh"):
                self.mics[mic] = self.overhead, {"OHL": 0.1, "OHR": 0.9}.get(mic, 0.5)
            elif mic in ("AmbL", "AmbR", "wndw", "front", "side", "retro"):
                pan = {"AmbL": 0.0, "AmbR": 1.0}.get(mic, random.uniform(0.2, 0.8))
                self.mics[mic] = self.room * 10 ** (random.uniform(-10, 0) / 20), pan
            else:
                pan = 0.5 if "kick" in mic.lower() or "kdrum" in mic.lower() else random.uniform(0.3, 0.7)
                self.mics[mic] = 10 ** (random.uniform(-10, 8) / 20), pan
        return self.mics[mic]

    def play(self, notes, seconds):
        """One performance: (2, samples)."""
        out = np.zeros((2, int(seconds * RATE) + 3 * RATE), np.float32)
        for note in notes:
            if note.key in PIECES:
                loudness = note.velocity / 127
                add(loudness**0.7 * self.hit(PIECES[note.key], loudness), out, max(0, int(note.start * RATE)))
        return out[:, : int(seconds * RATE)]


def machine(piece, random):
    """A sound such as drum machines make: (2, samples), of peak 1."""
    time = np.arange(int(1.5 * RATE)) / RATE
    noise = random.standard_normal(len(time))
    if piece == "kick" or "tom" in piece:
        sound = _thump(piece, time, noise, random)
    elif piece in ("snare", "rim"):
        body = sum(
            np.sin(2 * np.pi * random.uniform(150, 350) * time) * _fall(time, random.uniform(0.02, 0.12)) for _ in "ab"
        )
        rattle = _filtered([HighpassFilter(random.uniform(500, 3000))], noise) * _fall(time, random.uniform(0.04, 0.25))
        sound = body * random.uniform(0.2, 1) + rattle * random.uniform(0.3, 1) * (0.2 if piece == "rim" else 1)
    elif piece == "clap":
        middle = random.uniform(900, 2000)
        noise = _filtered([HighpassFilter(middle / 1.5), LowpassFilter(middle * 1.5)], noise)
        bursts = sum(_fall(np.maximum(time - start, 0), 0.006) * (time >= start) for start in (0, 0.011, 0.022))
        sound = noise * (bursts + 0.7 * (time > 0.03) * _fall(np.maximum(time - 0.03, 0), random.uniform(0.04, 0.2)))
    else:
        sound = _metal(piece, time, noise, random)
    return np.repeat((sound / np.abs(sound).max())[None], 2, 0).astype(np.float32)


def _thump(piece, time, noise, random):
    """A sine that falls in pitch, with a click."""
    low = {"kick": random.uniform(38, 65), "low tom": 80, "mid tom": 115, "high tom": 160}[piece]
    low *= 2 ** random.normal(0, 0.15)
    high, fast = low * random.uniform(1.5, 8), random.uniform(0.006, 0.05)
    long = random.uniform(0.2, 0.6) if random.random() < 0.2 else random.uniform(0.05, 0.2)
    phase = np.cumsum(low + (high - low) * _fall(time, fast)) / RATE
    sound = np.sin(2 * np.pi * phase) * _fall(time, long)
    sound += random.uniform(0, 0.5) * noise * _fall(time, random.uniform(0.001, 0.006))
    drive = random.uniform(0.3, 4)
    return np.tanh(drive * sound) / drive


def _metal(piece, time, noise, random):
    """Six square waves out of tune and noise, as in the cymbals of the TR-808."""
    tune = random.uniform(0.7, 1.6)
    squares = sum(np.sign(np.sin(2 * np.pi * tune * f * time)) for f in (205.3, 304.4, 369.6, 522.7, 540.0, 800.0))
    long = {"closed hat": random.uniform(0.01, 0.06), "open hat": random.uniform(0.12, 0.4), "bell": 0.1}.get(piece)
    share = random.random()
    mixed = share * squares / 4 + (1 - share) * noise
    cut = 700 if piece == "bell" else random.uniform(5000, 9000)
    return _filtered([HighpassFilter(cut), HighpassFilter(cut)], mixed) * _fall(time, long or random.uniform(0.3, 0.6))


def _fall(time, seconds):
    return np.exp(-time / seconds)


def _filtered(filters, sound):
    return Pedalboard(filters)(sound.astype(np.float32)[None], RATE)[0]
