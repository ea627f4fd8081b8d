"""Blocks of samples → the bytes of a WAV file, as FFmpeg writes it, without FFmpeg: four times as fast.

The format is Microsoft's (``WAVE_FORMAT_EXTENSIBLE`` for 24 bits) with tags in a LIST of the kind INFO. Beyond 4 GB the
header is that of EBU Tech 3306 (RF64), for which room is left in every file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from unweave.audio.pcm import encode_pcm
from unweave.audio.sink import Sink
from unweave.audio.wav_header import EXTENSIBLE, FLOAT, PCM, WAVE_SUBFORMAT
from unweave.types import Waveform

SPEAKERS = {1: 0x4, 2: 0x3}  # front centre; front left and right
# FFmpeg's names of tags → those of RIFF, in the order in which FFmpeg writes them.
INFO = {
    "artist": b"IART",
    "comment": b"ICMT",
    "copyright": b"ICOP",
    "date": b"ICRD",
    "genre": b"IGNR",
    "language": b"ILNG",
    "title": b"INAM",
    "album": b"IPRD",
    "track": b"IPRT",
}
SOFTWARE = (b"ISFT", "unweave")
UNSTATED = 2**32 - 1
LONGEST = UNSTATED - 1  # that the usual header can state, in bytes
LONG_SIZES = 28  # bytes of the chunk that states longer ones


class WavEncoder:
    """A WAV file with 16 or 24 bits per sample, or 32 in float; the header is written anew when the length is known."""

    def __init__(self, file: Sink, bit_depth: str, sample_rate: int, n_channels: int, texts: Mapping[str, str]) -> None:
        self._file, self._bit_depth = file, bit_depth
        self._sample_rate, self._n_channels = sample_rate, n_channels
        self._block_bytes = n_channels * {"16": 2, "24": 3, "32f": 4}[bit_depth]
        self._info = _info(texts)
        self._n_samples = 0
        self._file.write(self._header())

    def encode(self, waveform: Waveform) -> None:
        """See `Encoder`."""
        self._file.write(encode_pcm(waveform, self._bit_depth))
        self._n_samples += waveform.shape[1]

    def finish(self) -> None:
        """See `Encoder`."""
        self._file.write(bytes(self._n_samples * self._block_bytes % 2))
        self._file.seek(0)
        self._file.write(self._header())

    def abandon(self) -> None:
        """See `Encoder`."""

    def _header(self) -> bytes:
        n_bytes = self._n_samples * self._block_bytes
        chunks = _chunk(b"fmt ", self._format())
        if self._bit_depth == "32f":
            chunks += _chunk(b"fact", struct.pack("<I", min(self._n_samples, UNSTATED)))
        chunks += _chunk(b"LIST", self._info)
        riff_bytes = 4 + 8 + LONG_SIZES + len(chunks) + 8 + n_bytes + n_bytes % 2
        if riff_bytes <= LONGEST:
            start = b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVE" + _chunk(b"JUNK", bytes(LONG_SIZES))
            return start + chunks + b"data" + struct.pack("<I", n_bytes)
        sizes = struct.pack("<QQQI", riff_bytes, n_bytes, self._n_samples, 0)
        unstated = struct.pack("<I", UNSTATED)
        return b"RF64" + unstated + b"WAVE" + _chunk(b"ds64", sizes) + chunks + b"data" + unstated

    def _format(self) -> bytes:
        bits = 8 * self._block_bytes // self._n_channels
        is_extensible = self._bit_depth == "24"
        tag = EXTENSIBLE if is_extensible else FLOAT if self._bit_depth == "32f" else PCM
        rate, block = self._sample_rate, self._block_bytes
        plain = struct.pack("<HHIIHH", tag, self._n_channels, rate, rate * block, block, bits)
        if is_extensible:
            return (
                plain
                + struct.pack("<HHI", 22, bits, SPEAKERS[self._n_channels])
                + struct.pack("<H", PCM)
                + WAVE_SUBFORMAT
            )
        return plain + bytes(2) if tag == FLOAT else plain


def _info(texts: Mapping[str, str]) -> bytes:
    known = [(name, texts[key]) for key, name in INFO.items() if texts.get(key)]
    return b"INFO" + b"".join(_chunk(name, text.encode() + b"\0") for name, text in (*known, SOFTWARE))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
