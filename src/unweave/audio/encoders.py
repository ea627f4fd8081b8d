"""What turns blocks of samples into the bytes of a file. WAV and FFmpeg's many formats have modules of their own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from unweave.audio.libsndfile import TAG_NAMES
from unweave.audio.pcm import to_integers
from unweave.audio.sink import Sink
from unweave.types import Waveform

# FFmpeg's names of tags → those of libsndfile, which knows no more of them.
VORBIS_TEXTS = {
    TAG_NAMES.get(name, name): name
    for name in ("title", "artist", "album", "genre", "date", "tracknumber", "comment", "copyright")
}


class Encoder(Protocol):
    """Takes blocks (channels, samples) in −1 … 1, the channels of all streams below each other."""

    def encode(self, waveform: Waveform) -> None:
        """Encode a block."""

    def finish(self) -> None:
        """Write what is left, so that the file is whole."""

    def abandon(self) -> None:
        """Give up, whatever becomes of the file."""


class VorbisEncoder:
    """Ogg Vorbis through libsndfile: FFmpeg's wheels carry no libvorbis, and its own Vorbis encoder is a draft."""

    # Nominal kbit/s of stereo at 44.1 kHz for Vorbis' qualities 0 … 10.
    NOMINAL = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)

    def __init__(self, file: Sink, sample_rate: int, n_channels: int, bitrate: int, texts: Mapping[str, str]) -> None:
        import soundfile

        quality = float(np.interp(bitrate / 1000 * 2 / n_channels, self.NOMINAL, np.arange(11)))
        self._file = soundfile.SoundFile(
            file, "w", sample_rate, n_channels, "VORBIS", format="OGG", compression_level=1 - quality / 10
        )
        for name, text in texts.items():
            if text and name in VORBIS_TEXTS:  # libsndfile refuses empty ones
                setattr(self._file, VORBIS_TEXTS[name], text)

    def encode(self, waveform: Waveform) -> None:
        # In small pieces: libsndfile's Vorbis encoder keeps what it is given on its stack.
        for start in range(0, waveform.shape[1], 4096):
            self._write(np.ascontiguousarray(waveform[:, start : start + 4096].T))

    def _write(self, samples: npt.NDArray[np.float32]) -> None:
        import soundfile

        try:
            self._file.write(samples)
        except soundfile.LibsndfileError as error:
            raise OSError(str(error)) from error

    def finish(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        with suppress(Exception):
            self._file.close()


def quantise(waveform: Waveform, bit_depth: str) -> tuple[npt.NDArray[Any], str]:
    """Samples in −1 … 1 as FFmpeg takes them: an array and the name of its sample format."""
    if bit_depth == "lossy":
        return np.ascontiguousarray(waveform), "fltp"
    if bit_depth == "16":
        return to_integers(waveform, 16).reshape(1, -1), "s16"
    return to_integers(waveform, 24).reshape(1, -1) << 8, "s32"  # FFmpeg takes 24 bits in the upper part of 32
