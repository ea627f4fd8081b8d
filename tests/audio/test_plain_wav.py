"""Plain WAV files are read without FFmpeg, and nobody can tell; everything else is left to FFmpeg."""

import io
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import soundfile

from tests.helpers.signals import tones
from unweave.audio.decode import AudioReader
from unweave.audio.encode import AudioWriter
from unweave.audio.ffmpeg import FFmpegDecoder
from unweave.audio.formats import find_format
from unweave.audio.plain_wav import read_plain_wav
from unweave.audio.sources import Source
from unweave.audio.tags import Tags
from unweave.errors import AudioReadError

N_SAMPLES = 3001
TEXTS = {"title": "Blätter", "artist": "Die Weber", "album": "Fäden", "date": "2024", "genre": "Rock", "track": "7"}


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def fmt(tag=1, n_channels=2, rate=44100, bits=16, end=b""):
    block = n_channels * bits // 8
    return struct.pack("<HHIIHH", tag, n_channels, rate, rate * block, block, bits) + end


def extensible(mask, tag=1, bits=16, valid=None, guid="0000000010008000 00aa00389b71"):
    end = struct.pack("<HHIH", 22, valid or bits, mask, tag) + bytes.fromhex("0000") + bytes.fromhex(guid)[2:]
    return fmt(0xFFFE, bits=bits, end=end)


def riff(*chunks):
    content = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


NOISE = np.random.default_rng(0).integers(0, 256, 4800, np.uint8).tobytes()
DATA = chunk(b"data", NOISE)


def plain(raw):
    return read_plain_wav(Source(io.BytesIO(raw)).file())


def by_ffmpeg(raw):
    decoder = FFmpegDecoder(Source(io.BytesIO(raw)))
    pieces = [piece.waveform for piece in decoder.pieces()]
    return np.concatenate(pieces, axis=1), decoder


PLAIN = {
    "16 bits": riff(chunk(b"fmt ", fmt()), DATA),
    "mono": riff(chunk(b"fmt ", fmt(n_channels=1)), DATA),
    "24 bits": riff(chunk(b"fmt ", fmt(bits=24)), DATA),
    "24 bits, mono": riff(chunk(b"fmt ", fmt(bits=24, n_channels=1, rate=96000)), DATA),
    "32 bits": riff(chunk(b"fmt ", fmt(bits=32)), DATA),
    "a longer header": riff(chunk(b"fmt ", fmt(end=bytes(2))), DATA),
    "extensible": riff(chunk(b"fmt ", extensible(3, bits=24)), DATA),
    "extensible, no speakers": riff(chunk(b"fmt ", extensible(0)), DATA),
    "other chunks": riff(chunk(b"JUNK", bytes(5)), chunk(b"fmt ", fmt()), DATA, chunk(b"cue ", bytes(4))),
    "silence": riff(chunk(b"fmt ", fmt()), chunk(b"data", bytes(400))),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_files_are_read_as_ffmpeg_reads_them(kind):
    raw = PLAIN[kind]
    assert plain(raw) is not None
    expected, decoder = by_ffmpeg(raw)
    with AudioReader(io.BytesIO(raw)) as reader:
        assert (reader.sample_rate, reader.n_channels) == (decoder.sample_rate, decoder.n_channels)
        assert reader.expected_seconds == pytest.approx(decoder.seconds)
        np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), expected)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_floats_are_taken_as_they_are(n_channels):
    samples = tones(N_SAMPLES)[:n_channels]
    raw = riff(chunk(b"fmt ", fmt(3, n_channels, bits=32)), chunk(b"data", samples.T.astype("<f4").tobytes()))
    assert plain(raw).is_float
    with AudioReader(io.BytesIO(raw)) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), samples)


OTHERS = {
    "cut off": PLAIN["16 bits"][:-4],
    "something behind": PLAIN["16 bits"] + b"more",
    "another one behind": PLAIN["16 bits"] * 2,
    "an unstated size": b"RIFF" + b"\xff" * 4 + PLAIN["16 bits"][8:],
    "8 bits": riff(chunk(b"fmt ", fmt(bits=8)), DATA),
    "A-law": riff(chunk(b"fmt ", fmt(6, bits=8)), DATA),
    "doubles": riff(chunk(b"fmt ", fmt(3, bits=64)), DATA),
    "three channels": riff(chunk(b"fmt ", fmt(n_channels=3)), DATA),
    "no channels": riff(chunk(b"fmt ", fmt(n_channels=0)), DATA),
    "other speakers": riff(chunk(b"fmt ", extensible(0x30)), DATA),
    "fewer valid bits": riff(chunk(b"fmt ", extensible(3, bits=24, valid=20)), DATA),
    "a foreign subformat": riff(chunk(b"fmt ", extensible(3, guid="ffffffffffffffffffffffffffff")), DATA),
    "an odd header": riff(chunk(b"fmt ", fmt(end=bytes(4))), DATA),
    "a short header": riff(chunk(b"fmt ", fmt()[:14]), DATA),
    "half a sample": riff(chunk(b"fmt ", fmt()), chunk(b"data", NOISE[:-2])),
    "no samples": riff(chunk(b"fmt ", fmt()), chunk(b"data", b"")),
    "no header": riff(DATA),
    "no data": riff(chunk(b"fmt ", fmt())),
    "the header behind": riff(DATA, chunk(b"fmt ", fmt())),
    "two headers": riff(chunk(b"fmt ", fmt()), chunk(b"fmt ", fmt(bits=24)), DATA),
    "data twice": riff(chunk(b"fmt ", fmt()), DATA, DATA),
    "a chunk that nobody knows": riff(chunk(b"fmt ", fmt()), chunk(b"wavl", bytes(4)), DATA),
    "no rate": riff(chunk(b"fmt ", fmt(rate=0)), DATA),
    "DTS": riff(chunk(b"fmt ", fmt()), chunk(b"data", bytes(8) + bytes.fromhex("ff1f00e8") + NOISE)),
    "S/PDIF": riff(chunk(b"fmt ", fmt()), chunk(b"data", NOISE[:100] + bytes.fromhex("72f81f4e") + NOISE)),
    "Dolby": riff(chunk(b"fmt ", fmt()), chunk(b"data", b"\0\0\x0b\x77" + NOISE)),
    "MPEG": riff(chunk(b"fmt ", fmt()), chunk(b"data", b"\xff\xfb\x90\x64" + NOISE)),
    "MP3 behind tags": riff(chunk(b"fmt ", fmt()), chunk(b"data", b"ID3\4" + NOISE)),
    "LATM": riff(chunk(b"fmt ", fmt()), chunk(b"data", b"\x56\xe1\x2b\x20" + NOISE)),
    "no WAV": b"FORM" + PLAIN["16 bits"][4:],
    "nothing": b"",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_could_be_misunderstood_is_left_to_ffmpeg(kind):
    assert plain(OTHERS[kind]) is None


def test_a_header_as_long_as_the_file_is_not_read(tmp_path):
    """It could be gigabytes."""
    path, size = tmp_path / "a.wav", 2**26
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", size - 8) + b"WAVE")
        file.write(b"fmt " + struct.pack("<I", size - 20 - len(DATA)) + fmt())
        file.seek(size - len(DATA))
        file.write(DATA)
    source = Source(path)
    tracemalloc.start()
    assert read_plain_wav(source.file()) is None
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    source.close()


def test_there_is_one_track():
    with pytest.raises(AudioReadError, match="it has one audio track, there is no track 2"):
        AudioReader(io.BytesIO(PLAIN["mono"]), stream=1)


def test_a_file_that_is_cut_off_while_it_is_read(tmp_path, caplog):
    path = tmp_path / "song.wav"
    path.write_bytes(riff(chunk(b"fmt ", fmt()), chunk(b"data", bytes(4 * 100_000))))
    with AudioReader(path) as reader:
        with path.open("r+b") as file:
            file.truncate(44 + 4 * 70_000 + 3)
        assert sum(block.shape[1] for block in reader) == 70_000
    assert "may be incomplete" in caplog.text


def test_a_disk_that_fails_while_a_file_is_read():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 300_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    raw = riff(chunk(b"fmt ", fmt()), chunk(b"data", bytes(4 * 200_000)))
    with AudioReader(Failing(raw)) as reader, pytest.raises(AudioReadError, match="input/output error"):
        list(reader)


@pytest.mark.parametrize("bit_depth", ["16", "24", "32f"])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_what_is_written_is_plain_and_others_read_it(tmp_path, bit_depth, n_channels):
    path, samples = tmp_path / "song.wav", tones(N_SAMPLES)[:n_channels]
    options = {"sample_rate": 48000, "n_channels": n_channels, "bit_depth": bit_depth}
    with AudioWriter(path, find_format("wav"), tags=Tags(TEXTS), **options) as writer:
        writer.write(samples)
        writer.finish()
        writer.commit()
    raw = path.read_bytes()
    assert len(raw) % 2 == 0
    assert plain(raw).n_samples == N_SAMPLES
    ours, decoder = by_ffmpeg(raw)
    assert decoder.tags.texts == TEXTS
    with AudioReader(path) as reader:
        assert reader.tags.texts == TEXTS
        np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), ours)
    theirs, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == 48000
    np.testing.assert_array_equal(theirs.T, ours)
    step = {"16": 2.0**-15, "24": 2.0**-23, "32f": 0}[bit_depth]
    np.testing.assert_allclose(ours, samples, atol=step / 2 + 1e-9)


def test_integers_are_rounded_to_the_nearest_even_and_stay_within_range(tmp_path):
    path = tmp_path / "song.wav"
    samples = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, 32767.5, 32768, -32768]], np.float32) / 32768
    with AudioWriter(path, find_format("wav"), sample_rate=44100, n_channels=1) as writer:
        writer.write(samples)
        writer.finish()
        writer.commit()
    values = np.frombuffer(path.read_bytes()[-16:], "<i2")
    assert values.tolist() == [0, 2, 2, 0, -2, 32767, 32767, -32768]


def test_from_wav_to_wav_without_ffmpeg(tmp_path):
    source, target = tmp_path / "song.wav", tmp_path / "stem.wav"
    source.write_bytes(PLAIN["16 bits"])
    code = f"""
import sys
from pathlib import Path
from unweave.audio.decode import AudioReader
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import find_format
with AudioReader({str(source)!r}) as reader:
    with AudioWriter(Path({str(target)!r}), find_format("wav"), sample_rate=44100, n_channels=2) as writer:
        for block in reader:
            writer.write(block)
        writer.finish()
        writer.commit()
sys.exit(" ".join({{"av", "soundfile", "scipy"}} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert target.stat().st_size > len(NOISE)
