"""Signals made of formulas, the same on every machine."""

import numpy as np

SAMPLE_RATE = 44100


def song(seconds=26.0):
    """A gliding voice with vibrato, a pulsed bass, clicks and a chord: (2, samples) float32 at 44.1 kHz.

    The original was run on this very signal; ``tests/data/spleeter_figures.npz`` holds what it gave.
    """
    t = np.arange(int(seconds * SAMPLE_RATE), dtype=np.float64) / SAMPLE_RATE
    turn = 2 * np.pi
    pitch = 220.0 * 2.0 ** (np.sin(turn * 0.11 * t) * 0.5) * (1 + 0.012 * np.sin(turn * 5.5 * t))
    phase = turn * np.cumsum(pitch) / SAMPLE_RATE
    voice = sum(np.sin(k * phase) / k**1.3 * (1 + 0.6 * np.sin(turn * 0.37 * t + k)) for k in range(1, 17))
    voice *= 0.10 * (0.5 + 0.5 * np.sin(turn * 0.23 * t)) ** 2
    bass = 0.25 * np.sin(turn * 55.0 * t) * (0.5 + 0.5 * np.cos(turn * 2.0 * t))
    beat = np.mod(t, 0.5)
    clicks = 0.4 * np.exp(-beat * 40.0) * np.sin(turn * 3000.0 * beat * (1 + 7 * beat)) * np.sin(turn * 977.0 * t)
    chord = 0.06 * sum(np.sin(turn * f * t) for f in (261.63, 329.63, 392.0, 1046.5, 2093.0))
    left = voice + bass + 0.8 * clicks + 1.1 * chord
    right = voice + bass + 1.1 * clicks + 0.7 * chord
    return np.stack([left, right]).astype(np.float32)


def noise(n_samples, n_channels=2, seed=0, level=0.1):
    """Gaussian noise (channels, samples)."""
    shape = (n_channels, n_samples)
    return (level * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def tones(n_samples, sample_rate=SAMPLE_RATE):
    """Another sine on each of two channels, faded in and out so that codecs have no edges to smear."""
    t = np.arange(n_samples) / sample_rate
    fade = np.minimum(1, np.minimum(t, t[::-1]) * 50)
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * t), 0.3 * np.sin(2 * np.pi * 660 * t)]).astype(
        np.float32
    ) * fade.astype(np.float32)


def error_db(estimate, reference):
    """The error's level relative to the reference's, in dB."""
    error = np.linalg.norm(np.subtract(estimate, reference, dtype=np.complex128))
    return 20 * np.log10(max(error, 1e-30) / np.linalg.norm(reference))
