"""Spectrograms as pictures: opacity is the level, so that the page can lay stems over each other in their colours."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.dsp.stft import hann
from unweave.files import replace_file
from unweave.studio.samples import read_samples

N_FFT = 4096
WIDTH, HEIGHT = 1600, 256
LOWEST_HZ, RANGE_DB = 40.0, 70.0
MOST_BYTES = 2 * WIDTH * HEIGHT + 4096  # of a picture that cannot be compressed at all


def picture_file(folder: Path, number: int) -> Path:
    """Where the picture of stem ``number`` of a job lies."""
    return folder / f"stem-{number}.png"


def spectrogram(folder: Path, number: int, n_samples: int, sample_rate: int) -> Path:
    """The picture of a stem as a PNG file, made once: time to the right, pitch upwards in octaves."""
    path = picture_file(folder, number)
    if not path.exists():
        replace_file(path, _png(_opacities(folder, number, n_samples, sample_rate)))
    return path


def _opacities(folder: Path, number: int, n_samples: int, sample_rate: int) -> npt.NDArray[np.uint8]:
    """(height, width): 0 for silence, 255 for the loudest."""
    levels = np.zeros((WIDTH, N_FFT // 2 + 1), np.float32)
    for column in range(WIDTH):
        samples = read_samples(folder, number, column * n_samples // WIDTH, N_FFT).mean(0)
        padded = np.pad(samples, (0, N_FFT - len(samples)))
        levels[column] = np.abs(np.fft.rfft(padded * hann(N_FFT)))
    frequencies = np.geomspace(LOWEST_HZ, min(20_000.0, sample_rate / 2), HEIGHT)
    bins = np.clip(np.rint(frequencies * N_FFT / sample_rate).astype(int), 1, N_FFT // 2)
    level_db = 20 * np.log10(levels[:, bins] + 1e-4)
    top = max(float(level_db.max()), 0.0)
    shares = np.clip((level_db - top + RANGE_DB) / RANGE_DB, 0, 1)
    opacities: npt.NDArray[np.uint8] = (255 * shares.T[::-1] ** 1.5).astype(np.uint8)
    return opacities


def _png(opacity: npt.NDArray[np.uint8]) -> bytes:
    """White with the given opacity, as PNG (ISO/IEC 15948): grey with alpha, no filter."""
    height, width = opacity.shape
    pixels = np.full((height, width, 2), 255, np.uint8)
    pixels[..., 1] = opacity
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    header = struct.pack(">IIBBBBB", width, height, 8, 4, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6))
        + chunk(b"IEND", b"")
    )
