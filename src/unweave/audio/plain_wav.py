"""Plain WAV files, read in large blocks without FFmpeg, whose frames of 1024 samples take five times as long.

Plain is what cannot be misunderstood: a RIFF file of one or two channels in PCM of 16, 24 or 32 bits or in float of 32,
whose chunks are known and fill the file exactly. All others are FFmpeg's, and so are the tags of all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from unweave.audio.atoms import Readable
from unweave.audio.decoder import Piece
from unweave.audio.pcm import decode_pcm
from unweave.audio.recognise import no_such_track
from unweave.audio.sources import Source, reason
from unweave.audio.tags import Tags
from unweave.audio.wav_header import EXTENSIBLE, FLOAT, PCM, WAVE_SUBFORMAT, read_wav_header
from unweave.errors import AudioReadError

BLOCK_SAMPLES = 1 << 16
# Chunks that say nothing about how samples lie; those in the second set hold no tags either.
KNOWN = frozenset({b"LIST", b"bext", b"cue ", b"smpl", b"inst", b"acid", b"cart", b"iXML", b"_PMX", b"id3 ", b"ID3 "})
TAGLESS = frozenset({b"fmt ", b"data", b"fact", b"PEAK", b"JUNK", b"junk", b"PAD ", b"FLLR"})
USUAL_SPEAKERS = {1: (0, 4), 2: (0, 3)}  # masks of speakers that mean nothing special
RATES = range(1000, 768_001)  # Hz
# What FFmpeg looks for in PCM of 16 bits, to decode it: DTS in its four orders, and S/PDIF.
COMPRESSED = tuple(
    bytes.fromhex(sync) for sync in ("7ffe8001", "fe7f0180", "1fffe800", "ff1f00e8", "72f81f4e", "f8724e1f")
)
# What is so short that music has it too, and FFmpeg heeds at the beginning only: Dolby in both orders, the tags before
# MP3, and the first bytes of MPEG audio, alone and in its multiplex (LATM), each with three bits behind it.
BEGINNINGS = (b"\x0b\x77", b"\x77\x0b", b"ID3")
MPEG = (0xFF, 0x56)
PROBED_BYTES = 1 << 17
LONGEST_FORMAT = 40  # bytes of the chunk "fmt ", which may claim gigabytes
SOFTWARE_ONLY = b"INFOISFT"


@dataclass(frozen=True)
class PlainWav:
    """Where the samples of a plain WAV file lie, and what they are."""

    sample_rate: int  # Hz
    n_channels: int
    bits: int
    is_float: bool
    start: int  # byte
    n_samples: int
    has_tags: bool  # whether some other chunk may say something about the music


def read_plain_wav(file: Readable) -> PlainWav | None:
    """The layout of a plain WAV file; None for any other file."""
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(12)
    if (
        len(start) < 12
        or start[:4] != b"RIFF"
        or start[8:] != b"WAVE"
        or struct.unpack("<I", start[4:8])[0] + 8 != size
    ):
        return None
    chunks: dict[bytes, tuple[int, int]] = {}
    has_tags, position = False, 12
    while position < size:
        file.seek(position)
        head = file.read(20)
        if len(head) < 8:
            return None
        name, n_bytes = head[:4], struct.unpack("<I", head[4:8])[0]
        if (name in (b"fmt ", b"data") and name in chunks) or name not in KNOWN | TAGLESS:
            return None
        chunks[name] = (position + 8, n_bytes)
        is_software = name == b"LIST" and head[8:16] == SOFTWARE_ONLY and _fills(head[16:], n_bytes)
        has_tags |= name in KNOWN and not is_software
        position += 8 + n_bytes + n_bytes % 2
    if position != size or not chunks.keys() >= {b"fmt ", b"data"} or chunks[b"fmt "] > chunks[b"data"]:
        return None
    return _layout(file, chunks[b"fmt "], chunks[b"data"], has_tags=has_tags)


def _fills(stated: bytes, n_bytes: int) -> bool:
    """Whether a LIST of ``n_bytes`` has no more in it than one text of the ``stated`` length."""
    (length,) = struct.unpack("<I", stated) if len(stated) == 4 else (0,)
    return bool(n_bytes == 12 + length + length % 2)


def _layout(file: Readable, fmt: tuple[int, int], data: tuple[int, int], *, has_tags: bool) -> PlainWav | None:
    header = read_wav_header(file)
    start, n_bytes = data
    if header is None or not n_bytes or header.n_channels not in USUAL_SPEAKERS:
        return None
    file.seek(fmt[0])
    raw = file.read(min(fmt[1], LONGEST_FORMAT + 1))
    (rate,) = struct.unpack("<I", raw[4:8])
    bits, n_channels = header.bits, header.n_channels
    is_plain = (
        (header.tag, bits) in ((PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32))
        and header.valid_bits == bits
        and header.block_bytes == n_channels * bits // 8
        and n_bytes % header.block_bytes == 0
        and rate in RATES
    )
    if not is_plain or not _has_usual_end(raw, n_channels):
        return None
    file.seek(start)
    if bits == 16 and _is_compressed(file.read(min(n_bytes, PROBED_BYTES))):
        return None
    n_samples = n_bytes // header.block_bytes
    return PlainWav(rate, n_channels, bits, header.tag == FLOAT, start, n_samples, has_tags)


def _has_usual_end(fmt: bytes, n_channels: int) -> bool:
    """Whether what follows the first 16 bytes of the chunk changes nothing."""
    if struct.unpack("<H", fmt[:2])[0] != EXTENSIBLE:
        return len(fmt) == 16 or (len(fmt) == 18 and fmt[16:] == bytes(2))
    if len(fmt) != 40 or fmt[26:] != WAVE_SUBFORMAT:
        return False
    return struct.unpack("<I", fmt[20:24])[0] in USUAL_SPEAKERS[n_channels]


def _is_compressed(raw: bytes) -> bool:
    """Whether 16-bit PCM may hold frames of a codec, which FFmpeg would decode."""
    sound = raw.lstrip(b"\0")
    is_mpeg = len(sound) > 1 and sound[0] in MPEG and sound[1] & 0xE0 == 0xE0
    return is_mpeg or sound.startswith(BEGINNINGS) or any(sync in raw for sync in COMPRESSED)


class PlainWavDecoder:
    """The samples of a file with the layout ``wav``. Raises `AudioReadError` for any track but the first."""

    stores_samples, is_headless, stopped_early = True, False, False

    def __init__(self, source: Source, wav: PlainWav, *, stream: int | None = None) -> None:
        if stream:
            raise no_such_track(source.name, 1, stream)
        self._source, self._wav = source, wav
        self.sample_rate, self.n_channels = wav.sample_rate, wav.n_channels
        self._file = source.file()

    @property
    def seconds(self) -> float:
        """How long the header says it is."""
        return self._wav.n_samples / self._wav.sample_rate

    @property
    def stated_seconds(self) -> float:
        """The same: the header states it."""
        return self.seconds

    @property
    def tags(self) -> Tags:
        """What the file says about its music."""
        if not self._wav.has_tags:
            return Tags()
        from unweave.audio.ffmpeg import FFmpegDecoder

        try:
            decoder = FFmpegDecoder(self._source)
        except AudioReadError:
            return Tags()
        try:
            return decoder.tags
        finally:
            decoder.close()

    def pieces(self) -> Iterator[Piece | None]:
        """The samples in blocks. Raises `AudioReadError`, also where the file cannot be read any further."""
        wav = self._wav
        block_bytes = wav.n_channels * wav.bits // 8
        position, stop = wav.start, wav.start + wav.n_samples * block_bytes
        while position < stop:
            try:
                self._file.seek(position)
                raw = self._file.read(min(stop - position, BLOCK_SAMPLES * block_bytes))
            except (OSError, ValueError) as error:  # a disk that fails, a share that is gone, a file that was closed
                raise AudioReadError(f"cannot read {self._source.name}: {reason(error)}") from error
            raw = raw[: len(raw) // block_bytes * block_bytes]  # of a file that is being cut off
            if not raw:
                return
            position += len(raw)
            yield Piece(decode_pcm(raw, wav.n_channels, wav.bits, is_float=wav.is_float), wav.sample_rate)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
