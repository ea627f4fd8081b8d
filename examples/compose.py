"""Compose and render the example song: 18 seconds, all of it formulas. The music and this script are CC0.

    python examples/compose.py examples/song.mp3

A sung melody on vowels (pulses through formant filters, after D. H. Klatt, "Software for a cascade/parallel formant
synthesizer", JASA 67(3), 1980), drums, bass and an electric piano. ``--stems FOLDER`` writes the true stems too.
The filters are SciPy's, which unweave does not need: ``pip install scipy``.
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.signal

from unweave import AudioWriter
from unweave.audio.formats import find_format

SAMPLE_RATE = 44100
TEMPO = 104  # quarter notes per minute
BEAT_SECONDS = 60 / TEMPO
N_BEATS = 31
N_SAMPLES = round(N_BEATS * BEAT_SECONDS * SAMPLE_RATE) + SAMPLE_RATE // 4
RANDOM = np.random.default_rng(2026)

# Frequencies and bandwidths of the first five formants of sung vowels, in Hz.
VOWELS = {
    "a": ((800, 80), (1150, 90), (2900, 120), (3900, 130), (4950, 140)),
    "o": ((450, 70), (800, 80), (2830, 100), (3800, 130), (4950, 135)),
    "e": ((400, 60), (1700, 80), (2600, 100), (3200, 120), (4580, 120)),
    "u": ((325, 50), (700, 60), (2700, 170), (3800, 180), (4950, 200)),
}
# (start in beats, length in beats, MIDI note, vowel)
MELODY = [
    (4, 1.4, 69, "a"), (5.5, 0.5, 71, "e"), (6, 1.9, 72, "o"), (8, 1.4, 71, "a"), (9.5, 0.5, 69, "e"),
    (10, 1.9, 67, "u"), (12, 0.9, 69, "o"), (13, 0.9, 72, "a"), (14, 1.9, 76, "a"), (16, 1.4, 74, "e"),
    (17.5, 0.5, 72, "o"), (18, 1.9, 71, "a"), (20, 0.9, 69, "u"), (21, 0.9, 71, "o"), (22, 1.9, 72, "e"),
    (24, 1.4, 76, "a"), (25.5, 0.5, 74, "o"), (26, 3.5, 69, "a"),
]  # fmt: skip
CHORDS = [(57, 60, 64), (53, 57, 60), (48, 55, 64), (55, 59, 62)]  # A minor, F, C, G: one bar each


def hertz(note):
    return 440 * 2 ** ((note - 69) / 12)


def place(track, start_beats, sound):
    """Add ``sound`` at its beat."""
    start = round(start_beats * BEAT_SECONDS * SAMPLE_RATE)
    stop = min(len(track), start + len(sound))
    track[start:stop] += sound[: stop - start]


def envelope(n_samples, attack_seconds, release_seconds):
    t = np.arange(n_samples) / SAMPLE_RATE
    return np.clip(t / attack_seconds, 0, 1) * np.clip((n_samples / SAMPLE_RATE - t) / release_seconds, 0, 1)


def sung_note(length_beats, note, vowel):
    n_samples = round(length_beats * BEAT_SECONDS * SAMPLE_RATE)
    t = np.arange(n_samples) / SAMPLE_RATE
    vibrato = 0.35 * np.clip((t - 0.15) / 0.3, 0, 1) * np.sin(2 * np.pi * 5.6 * t)
    scoop = -1.2 * np.exp(-t / 0.04)
    drift = 0.06 * np.cumsum(RANDOM.standard_normal(n_samples)) / np.sqrt(SAMPLE_RATE)
    phase = np.cumsum(hertz(note + vibrato + scoop + drift)) / SAMPLE_RATE
    # A glottal pulse rises slowly and falls fast; its bandlimited edges come from summing partials.
    source = sum(np.sin(2 * np.pi * k * phase) / k**1.1 for k in range(1, int(15_000 / hertz(note))))
    breath = 0.04 * RANDOM.standard_normal(n_samples)
    voice = np.zeros(n_samples)
    for level, (frequency, bandwidth) in zip((1, 0.63, 0.22, 0.16, 0.06), VOWELS[vowel], strict=True):
        numerator, denominator = scipy.signal.iirpeak(frequency, frequency / bandwidth, SAMPLE_RATE)
        voice += level * scipy.signal.lfilter(numerator, denominator, source + breath)
    # A soft consonant before the vowel.
    onset = round(0.05 * SAMPLE_RATE)
    voice[:onset] += 0.5 * RANDOM.standard_normal(onset) * np.hanning(onset) * 0.2
    return voice * envelope(n_samples, 0.05, 0.09)


def vocals():
    track = np.zeros(N_SAMPLES)
    for start, length, note, vowel in MELODY:
        place(track, start, sung_note(length, note, vowel))
    echo = np.zeros(N_SAMPLES)
    delay = round(0.75 * BEAT_SECONDS * SAMPLE_RATE)
    echo[delay:] = 0.16 * track[:-delay]
    return 0.4 * np.stack([track + 0.6 * echo, track + echo])


def drums():
    kick_t = np.arange(round(0.28 * SAMPLE_RATE)) / SAMPLE_RATE
    kick = np.sin(2 * np.pi * (48 * kick_t + 9 * (1 - np.exp(-kick_t * 28)))) * np.exp(-kick_t * 13)
    snare_t = np.arange(round(0.22 * SAMPLE_RATE)) / SAMPLE_RATE
    rattle = scipy.signal.sosfilt(
        scipy.signal.butter(2, 1500, "high", fs=SAMPLE_RATE, output="sos"), RANDOM.standard_normal(len(snare_t))
    )
    snare = 0.35 * rattle * np.exp(-snare_t * 22) + 0.5 * np.sin(2 * np.pi * 190 * snare_t) * np.exp(-snare_t * 30)
    hat_t = np.arange(round(0.08 * SAMPLE_RATE)) / SAMPLE_RATE
    high = scipy.signal.butter(4, 7500, "high", fs=SAMPLE_RATE, output="sos")
    centre, side = np.zeros(N_SAMPLES), np.zeros(N_SAMPLES)
    for beat in np.arange(0, N_BEATS - 1, 0.5):
        bar_beat = beat % 4
        if bar_beat in (0, 2.5) or (bar_beat == 2 and beat % 8 > 4):
            place(centre, beat, 0.8 * kick)
        if bar_beat in (1, 3):
            place(centre, beat, 0.6 * snare)
        hat = scipy.signal.sosfilt(high, RANDOM.standard_normal(len(hat_t))) * np.exp(-hat_t * 60)
        place(side, beat, (0.16 if beat % 1 else 0.1) * hat)
    return np.stack([centre + 0.7 * side, centre + side])


def bass():
    track = np.zeros(N_SAMPLES)
    for bar in range(N_BEATS // 4):
        root = CHORDS[bar % 4][0] - 24 + (12 if CHORDS[bar % 4][0] < 52 else 0)
        for beat, length, step in ((0, 0.9, 0), (1.5, 0.45, 0), (2, 0.9, 7), (3, 0.45, 12), (3.5, 0.45, 0)):
            n_samples = round(length * BEAT_SECONDS * SAMPLE_RATE)
            t = np.arange(n_samples) / SAMPLE_RATE
            partials = sum(
                np.sin(2 * np.pi * k * hertz(root + step) * t) / k**1.6 * np.exp(-t * k) for k in range(1, 9)
            )
            place(track, 4 * bar + beat, partials * envelope(n_samples, 0.006, 0.05))
    return 0.33 * np.stack([track, track])


def piano():
    left, right = np.zeros(N_SAMPLES), np.zeros(N_SAMPLES)
    for bar in range(N_BEATS // 4):
        for beat in (0.5, 1.5, 2.5, 3.25):
            n_samples = round(0.9 * BEAT_SECONDS * SAMPLE_RATE)
            t = np.arange(n_samples) / SAMPLE_RATE
            for index, note in enumerate(CHORDS[bar % 4]):
                bell = np.sin(
                    2 * np.pi * hertz(note + 12) * t + 1.6 * np.exp(-t * 6) * np.sin(2 * np.pi * 14 * hertz(note) * t)
                )
                struck = bell * np.exp(-t * 3.2) * envelope(n_samples, 0.003, 0.06)
                place(left, 4 * bar + beat, (0.5 - 0.2 * index) * struck + 0.25 * struck)
                place(right, 4 * bar + beat, (0.2 * index) * struck + 0.2 * struck)
    return 0.13 * np.stack([left, right])


def write(path, waveform):
    options = {"sample_rate": SAMPLE_RATE, "n_channels": 2, "bitrate": 160_000}
    with AudioWriter(path, find_format(path.suffix[1:]), **options) as writer:
        writer.write(waveform.astype(np.float32))
        writer.finish()
        writer.commit()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("song", type=Path)
    parser.add_argument("--stems", type=Path, help="folder for the true stems")
    arguments = parser.parse_args()
    stems = {"vocals": vocals(), "drums": drums(), "bass": bass(), "piano": piano()}
    gain = 0.9 / np.abs(sum(stems.values())).max()
    write(arguments.song, gain * sum(stems.values()))
    if arguments.stems:
        for name, stem in stems.items():
            write(arguments.stems / f"{name}.wav", gain * stem)


if __name__ == "__main__":
    main()
