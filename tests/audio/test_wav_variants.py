"""How samples can lie in WAV files and their kin: each is read right, or refused, and none becomes noise."""

import io
import struct

import numpy as np
import pytest
import soundfile

from tests.audio.test_files import read
from tests.helpers.signals import tones
from unweave.audio.decode import AudioReader
from unweave.audio.sources import PIPE_HEAD_BYTES, Source
from unweave.audio.wav_header import read_wav_header
from unweave.errors import AudioReadError

N_SAMPLES = 5000
SONG = tones(N_SAMPLES) * np.float32(0.9)
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def integers(bits, width, order="<"):
    """SONG as integers of ``bits``, left-aligned in ``width`` bytes."""
    values = np.round(SONG.T.astype(np.float64) * (2 ** (bits - 1) - 1)).astype("<i8") << (8 * width - bits)
    raw = values.reshape(-1, 1).view(np.uint8).reshape(-1, 8)[:, :width]
    return (raw if order == "<" else raw[:, ::-1]).tobytes()


def header(tag, bits, width, valid=None, order="<", block=None):
    """The content of a fmt chunk; ``valid`` bits make it an extensible one."""
    block = 2 * width if block is None else block
    outer = EXTENSIBLE if valid is not None else tag
    raw = struct.pack(order + "HHIIHH", outer, 2, 44100, 44100 * block, block, bits)
    if valid is None:
        return raw
    guid = struct.pack(order + "IHH", tag, 0, 0x10) + bytes.fromhex("800000aa00389b71")
    return raw + struct.pack(order + "HHI", 22, valid, 3) + guid


def wav(fmt, data, magic=b"RIFF", before=b""):
    order = ">" if magic == b"RIFX" else "<"
    chunks = b"WAVE" + before + b"fmt " + struct.pack(order + "I", len(fmt)) + fmt
    chunks += b"data" + struct.pack(order + "I", len(data)) + data
    return magic + struct.pack(order + "I", len(chunks)) + chunks


def w64(fmt, data):
    ending = bytes.fromhex("f3acd3118cd100c04f8edb8a")

    def chunk(name, content, tail=ending):
        return name + tail + struct.pack("<q", 24 + len(content)) + content + bytes(-len(content) % 8)

    body = b"wave" + ending + chunk(b"fmt ", fmt) + chunk(b"data", data)
    return chunk(b"riff", body, bytes.fromhex("2e91cf11a5d628db04c10000"))


WIDE = [(24, 4), (20, 4), (16, 4), (16, 3), (12, 4), (8, 2), (20, 3), (12, 2), (24, 3), (32, 4), (16, 2)]


@pytest.mark.parametrize(("valid", "width"), WIDE)
@pytest.mark.parametrize("kind", ["wav", "w64", "wav behind other chunks"])
def test_integers_in_wider_containers(valid, width, kind):
    fmt, data = header(PCM, 8 * width, width, valid), integers(valid, width)
    if kind == "w64":
        raw = w64(fmt, data)
    else:
        raw = wav(fmt, data, before=b"JUNK" + struct.pack("<I", 70_001) + bytes(70_002) if "behind" in kind else b"")
    back = read(io.BytesIO(raw))
    assert back.shape == SONG.shape
    np.testing.assert_allclose(back, SONG, atol=2.0 ** -(valid - 2))


@pytest.mark.parametrize(("bits", "width"), [(24, 4), (20, 3), (12, 2), (24, 3), (16, 2), (32, 4)])
def test_plain_headers(bits, width):
    back = read(io.BytesIO(wav(header(PCM, bits, width), integers(bits, width))))
    assert back.shape == SONG.shape
    np.testing.assert_allclose(back, SONG, atol=2.0 ** -(bits - 2))


@pytest.mark.parametrize("bits", [16, 20])
def test_a_header_that_contradicts_itself(bits):
    with pytest.raises(
        AudioReadError, match=f"contradicts itself; it says {bits} bits per sample in blocks of 8 bytes"
    ):
        AudioReader(io.BytesIO(wav(header(PCM, bits, 4), integers(bits, 4))))


@pytest.mark.parametrize("block", [0, 4])
def test_a_wrong_block_length_is_seen_through(block):
    np.testing.assert_allclose(read(io.BytesIO(wav(header(PCM, 24, 3, block=block), integers(24, 3)))), SONG, atol=1e-6)


@pytest.mark.parametrize(("bits", "width"), [(16, 2), (24, 3), (32, 4)])
def test_big_endian_integers(bits, width):
    back = read(io.BytesIO(wav(header(PCM, bits, width, order=">"), integers(bits, width, ">"), b"RIFX")))
    np.testing.assert_allclose(back, SONG, atol=2.0 ** -(bits - 2))


@pytest.mark.parametrize(("extensible", "order"), [(None, "<"), ("all", "<"), ("fewer", "<"), (None, ">")])
@pytest.mark.parametrize("width", [4, 8])
def test_floats(extensible, order, width):
    valid = {None: None, "all": 8 * width, "fewer": 6 * width}[extensible]
    fmt = header(FLOAT, 8 * width, width, valid, order)
    raw = wav(fmt, SONG.T.astype(f"{order}f{width}").tobytes(), b"RIFF" if order == "<" else b"RIFX")
    np.testing.assert_allclose(read(io.BytesIO(raw)), SONG, atol=1e-7)


ENCODINGS = [
    (container, encoding, order)
    for container, encodings in {
        "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
        "WAVEX": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
        "RF64": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
        "W64": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
        "AIFF": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
        "AU": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
        "CAF": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    }.items()
    for encoding in encodings
    for order in ("FILE", *(("LITTLE", "BIG") if container in ("AIFF", "AU", "CAF") else ()))
    if soundfile.check_format(container, encoding, order)
]


@pytest.mark.parametrize(("container", "encoding", "order"), ENCODINGS)
def test_every_encoding_that_libsndfile_writes(container, encoding, order, tmp_path):
    path = tmp_path / "x"
    soundfile.write(path, SONG.T, 44100, encoding, order, container)
    back = read(path)
    limit = {"PCM_U8": 2**-6, "PCM_S8": 2**-6, "ULAW": 2**-5, "ALAW": 2**-5, "PCM_16": 2**-14}.get(encoding, 1e-6)
    assert back.shape == SONG.shape
    np.testing.assert_allclose(back, SONG, atol=limit)


def test_core_audio_in_wider_containers_is_refused():
    description = struct.pack(">d4sIIIII", 44100, b"lpcm", 0b10, 8, 1, 2, 24)
    data = integers(24, 4)
    raw = b"caff" + struct.pack(">HH", 1, 0) + b"desc" + struct.pack(">q", len(description)) + description
    raw += b"data" + struct.pack(">qI", len(data) + 4, 0) + data
    with pytest.raises(AudioReadError, match="width of its samples"):
        read(io.BytesIO(raw))


@pytest.mark.parametrize("level", [2e4, 1e20, -3e38])
def test_samples_beyond_reason_are_refused(level):
    waveform = SONG.copy()
    waveform[1, 4000] = level
    raw = wav(header(FLOAT, 32, 4), waveform.T.astype("<f4").tobytes())
    with pytest.raises(AudioReadError, match="times full scale"):
        read(io.BytesIO(raw))


def test_loud_floats_are_kept():
    waveform = SONG * np.float32(100)
    np.testing.assert_array_equal(
        read(io.BytesIO(wav(header(FLOAT, 32, 4), waveform.T.astype("<f4").tobytes()))), waveform
    )


def with_rate(rate, n_samples=1000, magic=b"RIFF"):
    fmt = struct.pack("<HHIIHH" if magic == b"RIFF" else ">HHIIHH", PCM, 2, rate, rate, 4, 16)
    return wav(fmt, bytes(4 * n_samples), magic)


@pytest.mark.parametrize("rate", [1, 999, 6_000_001, 2_000_000_000])
def test_rates_that_are_no_sound_are_refused(rate):
    """At 1 Hz, 43 kB are the three hours that the studio allows, and 4 GB in memory at 44.1 kHz."""
    with pytest.raises(AudioReadError, match=f"its header says {rate} samples a second, which is no sound"):
        AudioReader(io.BytesIO(with_rate(rate)))


def test_a_rate_that_falls_midway_is_followed_in_small_steps():
    """All three thousand samples of the second file would be 120 MB at once at the first one's rate."""
    raw = with_rate(5_000_000, 1000, b"RIFX") + with_rate(1000, 3000, b"RIFX") + with_rate(900, 1000, b"RIFX")
    with AudioReader(io.BytesIO(raw)) as reader:
        assert reader.sample_rate == 5_000_000
        blocks = [block.shape[1] for block in reader]
    assert sum(blocks) == pytest.approx(1000 + 3000 * 5000, rel=1e-3)
    assert max(blocks) < 5_000_000


def test_part_tags_and_length_of_what_libsndfile_reads(tmp_path):
    text = b"Song\0\0"
    info = b"INFOINAM" + struct.pack("<I", 5) + text
    tags = b"LIST" + struct.pack("<I", len(info)) + info
    path = tmp_path / "x.wav"
    path.write_bytes(wav(header(PCM, 32, 4, 24), integers(24, 4), before=tags))
    with AudioReader(path, offset_seconds=1000 / 44100, duration_seconds=2000 / 44100) as reader:
        assert reader.tags.texts == {"title": "Song"}
        assert reader.expected_seconds == pytest.approx(2000 / 44100)
        again = np.concatenate(list(reader.again()), axis=1)
        part = np.concatenate(list(reader), axis=1)
    np.testing.assert_array_equal(part, again)
    np.testing.assert_allclose(part, SONG[:, 1000:3000], atol=1e-6)


@pytest.mark.parametrize("stop", [0, 4, 12, 20, 30, 43])
def test_headers_that_are_cut_off(stop):
    raw = wav(header(PCM, 16, 2), integers(16, 2))[:stop]
    assert read_wav_header(io.BytesIO(raw)) is None or stop > 36
    with pytest.raises(AudioReadError):
        read(io.BytesIO(raw))


def test_the_head_of_a_pipe_is_not_lost():
    class Pipe(io.RawIOBase):
        def __init__(self, raw):
            self.rest = raw

        def readable(self):
            return True

        def readinto(self, buffer):
            n = min(len(buffer), 777, len(self.rest))
            buffer[:n], self.rest = self.rest[:n], self.rest[n:]
            return n

    raw = wav(header(PCM, 16, 2), integers(16, 2))
    assert Source(Pipe(raw)).head == raw[:PIPE_HEAD_BYTES]
    np.testing.assert_allclose(read(Pipe(raw)), SONG, atol=2**-14)
    odd = Pipe(wav(header(PCM, 32, 4, 24), integers(24, 4)))
    with pytest.raises(AudioReadError, match="only be read from a file"):
        read(odd)
    with AudioReader(Pipe(raw)) as reader, pytest.raises(AudioReadError, match="cannot seek"):
        next(reader.again())


@pytest.mark.parametrize("name", ["song.wav", "song.aiff"])
def test_a_track_that_is_not_there_is_refused_by_libsndfile_too(tmp_path, name):
    path = tmp_path / name
    if name.endswith("wav"):
        path.write_bytes(wav(header(PCM, 32, 4, 24), integers(24, 4)))
    else:
        soundfile.write(path, SONG.T, 44100, "PCM_24", "LITTLE", "AIFF")
    with AudioReader(path, stream=0) as reader:
        assert sum(block.shape[1] for block in reader) == N_SAMPLES
    with pytest.raises(AudioReadError, match="there is no track 3"):
        AudioReader(path, stream=2)
