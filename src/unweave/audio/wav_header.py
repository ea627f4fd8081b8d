"""Which PCM files FFmpeg misreads: their samples lie in wider containers than it thinks, or big end first.

FFmpeg takes the number of valid bits for the width of a sample; `WAVE_FORMAT_EXTENSIBLE` (Microsoft, "Multiple channel
audio data and WAVE files") allows 24 valid bits in containers of 32, and the block alignment tells. It also reads RIFX,
the big-endian twin of RIFF, little end first. libsndfile reads both.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from unweave.audio.atoms import Readable

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
WAVE_SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")  # of PCM and float in extensible files, behind the tag
UNKNOWN_SIZE = 2**31 - 2**16  # sizes from here on that a file does not have stand for an unknown one
APPENDED_TAGS = (b"ID3", b"TAG", b"APETAGEX")
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"


@dataclass(frozen=True)
class WavHeader:
    """The ``fmt `` chunk, as far as it says how samples lie in the file."""

    is_big_endian: bool
    tag: int  # PCM, FLOAT, or another encoding; that of the subformat for extensible files
    is_extensible: bool
    n_channels: int
    block_bytes: int  # all channels' samples of one moment
    bits: int
    valid_bits: int

    @property
    def is_misread_by_ffmpeg(self) -> bool:
        """Whether FFmpeg would make noise of it."""
        if self.tag not in (PCM, FLOAT) or not self.n_channels:
            return False
        return self.is_big_endian or self.block_bytes != self.n_channels * -(-self.valid_bits // 8)

    @property
    def is_contradictory(self) -> bool:
        """Whether nobody can tell how wide a sample is: plain PCM whose blocks are wider than its bits."""
        width = self.block_bytes // max(1, self.n_channels)
        return self.tag == PCM and not self.is_extensible and width > -(-self.bits // 8) and self.bits != 24


def read_wav_header(file: Readable) -> WavHeader | None:
    """The header of a WAV file (RIFF, RIFX, RF64, BW64 or Sony's W64); None for any other file."""
    file.seek(0)
    start = file.read(40)
    if start[:16] == W64_RIFF:
        return _find_format(file, 40, is_big_endian=False, is_w64=True)
    if start[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and start[8:12] == b"WAVE":
        return _find_format(file, 12, is_big_endian=start[:4] == b"RIFX", is_w64=False)
    return None


def count_surplus_bytes(file: Readable) -> int:
    """How many bytes at the end of a RIFF WAV belong to no chunk; below 0, how many bytes of its samples are missing.

    Recorders that were cut off, and programs that write more than 4 GB, leave headers with too small a size, and sound
    behind it that nobody reads. Tags that were appended are no sound.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(4) != b"RIFF":
        return 0
    position = 12
    while position + 8 <= size:
        file.seek(position)
        header = file.read(9)
        if not _is_chunk(header):
            file.seek(position - 1)  # some writers leave out the byte that makes a chunk's length even
            before = file.read(9)
            header, position = (before, position - 1) if _is_chunk(before) else (header, position)
        if not _is_chunk(header):
            return 0 if header.startswith(APPENDED_TAGS) else size - position
        (n_bytes,) = struct.unpack("<I", header[4:8])
        if header[:4] == b"data" and (n_bytes == 0 or position + 8 + n_bytes > size):
            return size - position - 8 - n_bytes if 0 < n_bytes < UNKNOWN_SIZE else 0
        position += 8 + n_bytes + n_bytes % 2
    return 0


def _is_chunk(header: bytes) -> bool:
    return len(header) >= 8 and all(32 <= byte < 127 for byte in header[:4])


def _find_format(file: Readable, position: int, *, is_big_endian: bool, is_w64: bool) -> WavHeader | None:
    order = ">" if is_big_endian else "<"
    while True:
        file.seek(position)
        header = file.read(24 if is_w64 else 8)
        if len(header) < (24 if is_w64 else 8) or header[:4] == b"data":
            return None
        n_bytes = struct.unpack("<q", header[16:])[0] - 24 if is_w64 else struct.unpack(order + "I", header[4:])[0]
        if n_bytes < 0:
            return None
        if header[:4] == b"fmt ":
            return _parse(file.read(min(n_bytes, 40)), order)
        align = 8 if is_w64 else 2
        position += len(header) + -(-n_bytes // align) * align


def _parse(raw: bytes, order: str) -> WavHeader | None:
    if len(raw) < 16:
        return None
    tag, n_channels, _, _, block_bytes, bits = struct.unpack(order + "HHIIHH", raw[:16])
    valid_bits, is_extensible = bits, tag == EXTENSIBLE
    if is_extensible and len(raw) >= 26:
        valid, _, tag = struct.unpack(order + "HIH", raw[18:26])
        valid_bits = valid or bits
    return WavHeader(order == ">", tag, is_extensible, n_channels, block_bytes, bits, valid_bits)
