"""Notes to render: MMA's accompaniments over random chords, pop songs of POP909, bands around the Groove's drummers."""

import re
import subprocess
from pathlib import Path

import mido
import numpy as np

from instruments import Note
from sources import STYLES

DRUM_CHANNEL = 9
PIANOS = range(6)
BASSES = range(32, 40)
UNMUSICAL = range(112, 128)  # percussive and sound effects

# Roman numerals as semitones above the key, with the chord's kind.
PROGRESSIONS = [
    [(0, ""), (7, ""), (9, "m"), (5, "")],
    [(9, "m"), (5, ""), (0, ""), (7, "")],
    [(0, ""), (9, "m"), (5, ""), (7, "7")],
    [(0, "m"), (8, ""), (3, ""), (10, "")],
    [(0, "m"), (5, "m"), (7, "7"), (0, "m")],
    [(2, "m7"), (7, "7"), (0, "M7"), (0, "M7")],
    [(0, "7"), (0, "7"), (5, "7"), (0, "7"), (7, "7"), (5, "7")],
    [(0, ""), (5, ""), (10, ""), (5, "")],
    [(0, "M7"), (4, "m7"), (5, "M7"), (7, "sus4")],
    [(0, "m"), (10, ""), (8, ""), (7, "")],
]
NAMES = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]


def styles():
    """The names of all grooves that MMA knows."""
    names = set()
    for path in sorted(Path(STYLES).rglob("*.mma")):
        found = re.findall(r"(?im)^\s*DefGroove\s+(\S+)", path.read_text(errors="replace"))
        names.update(name for name in found if not re.search(r"(?i)intro|end|fill", name))
    return sorted(names)


def accompaniment(style, random, folder):
    """A song of MMA's in ``style``: its MIDI file, or None where the style does not stand alone."""
    key, n_bars = int(random.integers(12)), 12
    chords = [PROGRESSIONS[random.integers(len(PROGRESSIONS))] for _ in range(3)]
    flat = [chord for progression in chords for chord in progression][:n_bars]
    lines = [f"Tempo {int(random.integers(75, 150))}", f"Groove {style}"]
    lines += [f"{bar + 1} {NAMES[(key + step) % 12]}{kind}" for bar, (step, kind) in enumerate(flat)]
    text, midi = folder / "song.mma", folder / "song.mid"
    text.write_text("\n".join(lines) + "\n")
    midi.unlink(missing_ok=True)
    subprocess.run(["mma", text, "-f", midi], capture_output=True, check=False, timeout=60)
    return mido.MidiFile(midi) if midi.exists() else None


def parts(song):
    """Channel → (stem, program) of a General MIDI song."""
    programs, playing = {}, set()
    for message in mido.merge_tracks(song.tracks):
        if message.type == "program_change":
            programs.setdefault(message.channel, message.program)
        elif message.type == "note_on" and message.velocity:
            playing.add(message.channel)
    found = {}
    for channel in sorted(playing):
        program = programs.get(channel, 0)
        if channel == DRUM_CHANNEL:
            found[channel] = ("drums", program)
        elif program in BASSES:
            found[channel] = ("bass", program)
        elif program in PIANOS:
            found[channel] = ("piano", program)
        elif program not in UNMUSICAL:
            found[channel] = ("other", program)
    return found


def stems(song):
    """Stem → its channels with their programs."""
    found = {}
    for channel, (stem, program) in parts(song).items():
        found.setdefault(stem, {})[channel] = program
    return found


def notes(song, channel):
    """The notes of one channel; the sustain pedal holds them."""
    time, sounding, held, is_down, found = 0.0, {}, [], False, []
    for message in song:
        time += message.time
        if getattr(message, "channel", None) != channel:
            continue
        if message.type == "note_on" and message.velocity:
            sounding[message.note] = (time, message.velocity)
        elif message.type in ("note_off", "note_on") and message.note in sounding:
            start, velocity = sounding.pop(message.note)
            if is_down:
                held.append((start, message.note, velocity))
            else:
                found.append(Note(start, time, message.note, velocity))
        elif message.type == "control_change" and message.control == 64:
            is_down = message.value >= 64
            if not is_down:
                found += [Note(start, time, key, velocity) for start, key, velocity in held]
                held = []
    return found + [Note(start, time, key, velocity) for start, key, velocity in held]


def excerpt(song, seconds, random):
    """``seconds`` of ``song`` from a random beginning: one track, programs and controls as they were by then."""
    start = random.uniform(0, max(0.0, song.length - seconds))
    new = mido.MidiFile(type=1, ticks_per_beat=480)
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000, time=0)])
    new.tracks.append(track)
    time, written = 0.0, 0
    for message in song:
        time += message.time
        is_note = message.type in ("note_on", "note_off")
        if message.is_meta or time > start + seconds or (is_note and time < start):
            continue
        place = round(960 * max(0.0, time - start))  # 480 ticks per half second
        track.append(message.copy(time=place - written))
        written = place
    sounding = {(m.channel, m.note) for m in track if m.type == "note_on"}
    track.append(mido.MetaMessage("text", text="", time=max(0, round(960 * seconds) - written)))
    track.extend(mido.Message("note_off", channel=c, note=n, time=0) for c, n in sorted(sounding))
    return new


def named_channels(song):
    """The channel of each named track."""
    return {t.name: m.channel for t in song.tracks for m in t if m.type == "note_on"}


def only(song, channels, programs):
    """``song`` with nothing but ``channels``, each played with its program of ``programs``."""
    kept = mido.MidiFile(type=1, ticks_per_beat=song.ticks_per_beat)
    for track in song.tracks:
        new, wait = mido.MidiTrack(), 0
        for message in track:
            wait += message.time
            is_ours = getattr(message, "channel", None) in channels
            if message.is_meta or (is_ours and message.type != "program_change"):
                new.append(message.copy(time=wait))
                wait = 0
        kept.tracks.append(new)
    setup = mido.MidiTrack()
    setup.extend(mido.Message("program_change", channel=c, program=programs[c], time=0) for c in channels)
    kept.tracks.insert(1 if len(kept.tracks) > 1 else 0, setup)
    return kept


# Beats at which the parts of a band play, in quarters of a bar of four; the bass can also follow the kick drum.
BASS_PATTERNS = [None, None, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5], [0, 1, 2, 3], [0, 1.5, 2, 3.5], [0, 2], [0]]
GUITAR_PATTERNS = [
    [0],
    [0, 2],
    [0, 1, 2, 3],
    [0.5, 1.5, 2.5, 3.5],
    [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5],
    [0, 0.75, 1.5, 2.5, 3],
]
THIRDS = {"m": 3, "m7": 3, "sus4": 5}
KICKS = (35, 36)


def band(drums, random):
    """A band around a drummer of the Groove data set: bass, guitars and sometimes a piano, on the drummer's beat."""
    ticks = drums.ticks_per_beat
    onsets, length = _onsets(drums, KICKS)
    key, progression = int(random.integers(12)), PROGRESSIONS[random.integers(len(PROGRESSIONS))]
    bars = [progression[bar % len(progression)] for bar in range(length // (4 * ticks) + 1)]
    chord_at = [(key + step, THIRDS.get(kind, 4)) for step, kind in bars]

    def root(tick, lowest):
        return lowest + (chord_at[tick // (4 * ticks)][0] - lowest) % 12

    def third(tick, lowest):
        return root(tick, lowest) + chord_at[tick // (4 * ticks)][1]

    def on(pattern):
        return [int((4 * bar + beat) * ticks) for bar in range(len(bars)) for beat in pattern]

    pattern = BASS_PATTERNS[random.integers(len(BASS_PATTERNS))]
    walks, stops = random.choice([0, 0.15, 0.4]), random.uniform(0.4, 1.0)
    bass = [
        (at, [root(at, 28) + (int(random.choice([7, 10, 12])) if random.random() < walks else 0)])
        for at in (on(pattern or [0]) if pattern or not onsets else onsets)
    ]
    new = mido.MidiFile(type=1, ticks_per_beat=ticks)
    new.tracks += drums.tracks
    new.tracks.append(_part(0, 33, bass, length, stops, random))
    for channel in range(1, 2 + int(random.random() < 0.5)):  # one guitar or two
        is_power = random.random() < 0.4
        program = int(random.choice([29, 30] if is_power else [16, 18, 25, 26, 27, 28, 48, 50, 81, 89]))
        pattern = GUITAR_PATTERNS[random.integers(len(GUITAR_PATTERNS))]
        chords = [(at, [root(at, 40), root(at, 40) + 7] + ([] if is_power else [third(at, 52)])) for at in on(pattern)]
        new.tracks.append(_part(channel, program, chords, length, random.uniform(0.3, 1.0), random))
    if random.random() < 0.4:
        pattern = GUITAR_PATTERNS[random.integers(len(GUITAR_PATTERNS))]
        chords = [(at, [root(at, 48), third(at, 48), root(at, 48) + 7]) for at in on(pattern)]
        new.tracks.append(_part(3, 0, chords, length, random.uniform(0.5, 1.0), random))
    return new


def _onsets(song, keys):
    """The ticks at which ``keys`` are struck, and the song's length in ticks."""
    found, length = set(), 0
    for track in song.tracks:
        tick = 0
        for message in track:
            tick += message.time
            length = max(length, tick)
            if message.type == "note_on" and message.velocity and message.note in keys:
                found.add(tick)
    return sorted(found), length


def _part(channel, program, chords, length, stops, random):
    """A track that plays ``chords`` (tick, keys), each until a share ``stops`` of the time to the next."""
    events = []
    chords = [(at, keys) for at, keys in chords if at < length]
    for (at, keys), (after, _) in zip(chords, [*chords[1:], (length, [])], strict=True):
        velocity = int(np.clip(random.normal(92, 12), 30, 127))
        for key in keys:
            events.append((at, 1, mido.Message("note_on", channel=channel, note=key, velocity=velocity)))
            stop = at + max(1, int(stops * (after - at)))
            events.append((stop, 0, mido.Message("note_off", channel=channel, note=key)))
    track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program)])
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    return track
