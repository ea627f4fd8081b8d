"""Samples as integers of 16, 24 and 32 bits, as files hold them, and back; scaled as FFmpeg does it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.types import Waveform


def to_integers(waveform: Waveform, bits: int) -> npt.NDArray[np.int32]:
    """Samples (channels, samples) in −1 … 1 → (samples, channels) from −2^(bits − 1) on, rounded."""
    scaled = np.multiply(waveform.T, np.float32(2 ** (bits - 1)), order="C")
    np.rint(scaled, out=scaled)
    np.minimum(scaled, np.float32(2 ** (bits - 1) - 1), out=scaled)
    return scaled.astype(np.int16 if bits == 16 else np.int32)


def encode_pcm(waveform: Waveform, bit_depth: str) -> bytes:
    """Samples (channels, samples) in −1 … 1 as the bytes of a file, little end first: 16 or 24 bits, or 32f (float)."""
    if bit_depth == "32f":
        return waveform.T.astype("<f4", copy=False).tobytes()
    if bit_depth == "16":
        return to_integers(waveform, 16).astype("<i2", copy=False).tobytes()
    words = to_integers(waveform, 24).astype("<i4", copy=False)
    return words.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def decode_pcm(raw: bytes, n_channels: int, bits: int, *, is_float: bool) -> Waveform:
    """The bytes of whole samples, little end first, → (channels, samples): 16, 24 or 32 bits, or floats of 32."""
    if bits == 24:
        words = np.zeros((len(raw) // 3, 4), np.uint8)
        words[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        values: npt.NDArray[Any] = words.view("<i4")
    else:
        values = np.frombuffer(raw, "<f4" if is_float else f"<i{bits // 8}")
    waveform = np.empty((n_channels, values.size // n_channels), np.float32)
    waveform[...] = values.reshape(-1, n_channels).T
    if not is_float:
        waveform *= np.float32(2.0**-15 if bits == 16 else 2.0**-31)
    return waveform
