"""Any number of channels → the two that models take, and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from unweave.errors import AudioReadError
from unweave.types import Waveform

HALF_POWER = 0.5**0.5

# Each speaker's share of (left, right), after ITU-R BS.775-4, table 2: centre and surrounds at −3 dB. The LFE channel
# is left out, as the recommendation has it.
SHARES = {
    "FL": (1.0, 0.0),
    "FR": (0.0, 1.0),
    "FC": (HALF_POWER, HALF_POWER),
    "LFE": (0.0, 0.0),
    "BL": (HALF_POWER, 0.0),
    "BR": (0.0, HALF_POWER),
    "SL": (HALF_POWER, 0.0),
    "SR": (0.0, HALF_POWER),
    "BC": (0.5, 0.5),
    "FLC": (1.0, 0.0),
    "FRC": (0.0, 1.0),
    "DL": (1.0, 0.0),
    "DR": (0.0, 1.0),
}

# The usual order of speakers where a source names only a count (as WAVE_FORMAT_EXTENSIBLE and FFmpeg have it).
USUAL_SPEAKERS = {
    1: ("FC",),
    2: ("FL", "FR"),
    3: ("FL", "FR", "LFE"),
    4: ("FL", "FR", "FC", "BC"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


@lru_cache(maxsize=32)
def _downmix_matrix(speakers: tuple[str, ...]) -> Waveform:
    shares = np.array([SHARES.get(speaker, (0.5, 0.5)) for speaker in speakers], np.float32).T
    # Scaled by a constant so that full-scale channels cannot exceed full scale together.
    matrix: Waveform = shares / max(1.0, float(shares.sum(axis=1).max()))
    return matrix


def to_stereo(waveform: Waveform, speakers: Sequence[str] | None = None) -> Waveform:
    """Two channels from any number: (channels, samples) → (2, samples).

    Mono is duplicated, stereo passes as it is, surround is downmixed. ``speakers`` names the channels as FFmpeg does
    ("FL", "FC", …); without it the usual order for their number is taken. Raises `AudioReadError` for more channels
    than have a usual order.
    """
    n_channels = len(waveform)
    if n_channels == 2:
        return waveform
    if n_channels == 1:
        return np.repeat(waveform, 2, axis=0)
    if speakers is None or len(speakers) != n_channels:
        if n_channels not in USUAL_SPEAKERS:
            raise AudioReadError(f"expected 1 to 8 channels, got {n_channels}")
        speakers = USUAL_SPEAKERS[n_channels]
    mixed: Waveform = _downmix_matrix(tuple(speakers)) @ waveform
    return mixed


def to_mono(waveform: Waveform) -> Waveform:
    """The mean of all channels: (…, channels, samples) → (…, 1, samples)."""
    mean: Waveform = waveform.mean(axis=-2, keepdims=True, dtype=np.float32)
    return mean


def to_channels(waveform: Waveform, n_channels: int) -> Waveform:
    """One channel or two from any number: (channels, samples) → (``n_channels``, samples)."""
    return to_mono(waveform) if n_channels == 1 else to_stereo(waveform)
