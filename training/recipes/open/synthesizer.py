"""Synthesizer basses: saws, squares, sines and FM behind a filter that closes."""

import numpy as np

from instruments import RATE, add

WAVES = ("saw", "square", "sub", "fm", "808")
MOST_HARMONICS = 48


def play_bass(notes, seconds, random):
    """One sound plays ``notes``: (2, samples)."""
    sound = _Sound(random)
    out = np.zeros((2, int(seconds * RATE) + RATE), np.float32)
    for note in notes:
        add(sound.note(note)[None].repeat(2, 0), out, int(note.start * RATE))
    return out[:, : int(seconds * RATE)]


class _Sound:
    """Settings of a synthesizer, drawn once."""

    def __init__(self, random):
        self.wave = WAVES[random.integers(len(WAVES))]
        self.floor, self.sweep = 2 ** random.uniform(6.5, 11), 2 ** random.uniform(7, 12)  # Hz
        self.closing = random.uniform(0.03, 0.5)  # seconds
        self.slope = random.choice([2, 4])
        self.attack, self.release = random.uniform(0.001, 0.012), random.uniform(0.01, 0.08)
        self.decay = random.uniform(0.15, 1.0) if self.wave == "808" or random.random() < 0.3 else 30.0
        self.ratio, self.index = random.choice([0.5, 1, 2, 3]), random.uniform(0.5, 5)
        self.detune = random.uniform(0, 0.006) if random.random() < 0.4 else 0.0
        self.below = random.uniform(0, 1) if random.random() < 0.3 else 0.0  # how loud a sine an octave lower is

    def note(self, note):
        held = max(note.stop - note.start, 0.05)
        time = np.arange(int((held + 5 * self.release) * RATE)) / RATE
        pitch = 440 * 2 ** ((note.key - 69) / 12)
        glide = 1 + (0.6 * np.exp(-time / 0.015) if self.wave == "808" else 0)
        turns = np.cumsum(pitch * glide) / RATE
        sound = sum(self._wave(turns * (1 + detune), pitch, time) for detune in {self.detune, -self.detune})
        sound = sound + self.below * np.sin(np.pi * turns)
        envelope = np.minimum(time / self.attack, 1) * np.exp(-time / self.decay)
        envelope *= np.exp(-np.maximum(time - held, 0) / self.release)
        return ((note.velocity / 127) ** 0.6 * envelope * sound).astype(np.float32)

    def _wave(self, turns, pitch, time):
        angle = 2 * np.pi * turns
        if self.wave in ("sub", "808"):
            return np.tanh(self.index * np.sin(angle)) if self.wave == "808" else np.sin(angle)
        if self.wave == "fm":
            return np.sin(angle + self.index * np.exp(-time / self.closing) * np.sin(self.ratio * angle))
        cutoff = self.floor + self.sweep * np.exp(-time / self.closing)
        step = 2 if self.wave == "square" else 1
        highest = min(MOST_HARMONICS, int(4 * cutoff.max() / pitch) + 1, int(16000 / pitch))
        return sum(
            np.sin(k * angle) / k / (1 + (k * pitch / cutoff) ** self.slope) for k in range(1, highest + 1, step)
        )
