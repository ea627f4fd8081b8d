"""Every format in and out, to the sample."""

import io
import logging
import struct
import subprocess
import sys
import threading

import av
import numpy as np
import pytest
import soundfile

from tests.helpers.signals import error_db, tones
from unweave.audio.decode import AudioReader
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import FORMATS, find_format, parse_bitrate
from unweave.errors import AudioReadError, AudioWriteError, OptionError


def write(path, waveform, sample_rate=44100, bit_depth="16", bitrate=192_000):
    with AudioWriter(
        path,
        find_format(path.suffix[1:]),
        sample_rate=sample_rate,
        n_channels=len(waveform),
        bit_depth=bit_depth,
        bitrate=bitrate,
    ) as writer:
        for start in range(0, waveform.shape[1], 30_011):
            writer.write(waveform[:, start : start + 30_011])
        writer.finish()
        writer.commit()
    return path


def read(source, **options):
    with AudioReader(source, **options) as reader:
        return np.concatenate(list(reader), axis=1)


LOSSLESS = [("wav", "16", -85), ("wav", "24", -130), ("wav", "32f", -200), ("flac", "16", -85), ("flac", "24", -130)]
LOSSY = [
    ("mp3", 44100),
    ("mp3", 48000),
    ("mp3", 22050),
    ("ogg", 44100),
    ("ogg", 48000),
    ("opus", 48000),
    ("m4a", 44100),
]


@pytest.mark.parametrize(("extension", "bit_depth", "limit_db"), LOSSLESS)
@pytest.mark.parametrize("n_samples", [1, 1000, 132_317])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_lossless_formats(tmp_path, extension, bit_depth, limit_db, n_samples, n_channels):
    waveform = np.maximum(tones(132_317)[:n_channels, 500 : 500 + n_samples], -0.9)
    back = read(write(tmp_path / f"x.{extension}", waveform, bit_depth=bit_depth))
    assert back.shape == waveform.shape
    assert error_db(back, waveform) < limit_db or n_samples == 1


@pytest.mark.parametrize(("extension", "sample_rate"), LOSSY)
@pytest.mark.parametrize("n_samples", [132_317, 88_065])
def test_lossy_formats_neither_shift_nor_change_the_length(tmp_path, extension, sample_rate, n_samples):
    waveform = tones(n_samples, sample_rate)
    back = read(write(tmp_path / f"x.{extension}", waveform, sample_rate))
    assert back.shape == waveform.shape
    assert error_db(back, waveform) < -25  # a shift by one sample alone is -24 dB at 440 and 660 Hz


@pytest.mark.parametrize(("rate", "n_channels", "n"), [(44100, 2, 24_003), (22050, 1, 24_003), (48000, 2, 8 * 2048)])
def test_wma_neither_begins_late_nor_ends_early(tmp_path, rate, n_channels, n):
    """Its frames are the unit of length: some silence may follow."""
    waveform = tones(n, rate)[:n_channels]
    back = read(write(tmp_path / "x.wma", waveform, rate))
    assert waveform.shape[1] <= back.shape[1] < waveform.shape[1] + 2 * 2048
    assert error_db(back[:, : waveform.shape[1]], waveform) < -25


@pytest.mark.parametrize("n_channels", [1, 2])
def test_opus_takes_any_bitrate(tmp_path, n_channels):
    """320k is more than its encoder allows for one channel, and used to be an invalid argument."""
    waveform = tones(9600, 48_000)[:n_channels]
    back = read(write(tmp_path / "x.opus", waveform, 48_000, bitrate=640_000))
    assert back.shape == waveform.shape
    assert error_db(back, waveform) < -30


@pytest.mark.parametrize(("extension", "highest"), [("ogg", 192_000), ("flac", 768_000)])
@pytest.mark.parametrize("rate", [44_100, 352_800, 1_411_200])
def test_some_formats_have_a_highest_rate(tmp_path, extension, highest, rate):
    """Above that of Vorbis libsndfile crashes, and takes the process along."""
    known = FORMATS[extension].sample_rate(rate)
    assert known == min(rate, highest)
    assert read(write(tmp_path / f"x.{extension}", tones(9600, known), known)).shape == (2, 9600)


@pytest.mark.parametrize("n_samples", [1, 1000, 9001, 24_003])
def test_vorbis_of_a_page_or_two_is_as_long_as_it_was(tmp_path, n_samples):
    """FFmpeg plays the padding of the last packet where all sound lies in one page."""
    waveform = tones(24_003)[:, :n_samples]
    assert read(write(tmp_path / "x.ogg", waveform)).shape == waveform.shape


@pytest.mark.parametrize("container", ["aiff", "caf", "au", "w64", "matroska", "mov"])
def test_formats_that_are_only_read(tmp_path, container):
    codec = {"aiff": "pcm_s16be", "au": "pcm_s16be"}.get(container, "pcm_s16le")
    path = tmp_path / "x"
    waveform = tones(50_000)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=44100, layout="stereo")
        packed = (waveform.T * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format="s16", layout="stereo")
        frame.sample_rate = 44100
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    back = read(path)
    assert back.shape == waveform.shape
    assert error_db(back, waveform) < -70


@pytest.mark.parametrize("n_samples", [1000, 4096, 8192, 10_000])
def test_alac_in_a_core_audio_file_is_as_long_as_it_was(tmp_path, n_samples):
    """As in Apple's loops. The header counts what the last packet lacks, and FFmpeg takes that off once more."""
    waveform = tones(n_samples)
    soundfile.write(tmp_path / "x.caf", waveform.T, 44100, subtype="ALAC_16")
    back = read(tmp_path / "x.caf")
    assert back.shape == waveform.shape
    assert error_db(back, waveform) < -70


def test_the_audio_of_a_video_is_read(tmp_path):
    path = tmp_path / "clip.mkv"
    waveform = tones(44_100)
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = out.add_stream("pcm_s16le", rate=44100, layout="stereo")
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 20, np.uint8), format="rgb24")
            out.mux(video.encode(picture))
        packed = np.ascontiguousarray((waveform.T * 32767).astype(np.int16).reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
        frame.sample_rate = 44100
        out.mux(audio.encode(frame))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    assert read(path).shape == waveform.shape


@pytest.mark.parametrize("sample_rate", [8000, 44100, 96000])
def test_the_sample_rate_is_told(tmp_path, sample_rate):
    with AudioReader(write(tmp_path / "x.wav", tones(1000), sample_rate)) as reader:
        assert reader.sample_rate == sample_rate
        assert reader.expected_seconds == pytest.approx(1000 / sample_rate)


@pytest.mark.parametrize(
    "name", ["with space.wav", 'it\'s "quoted".wav', "naïve – ☃.wav", "a|b:c.wav", "http:x.wav", "%d.wav"]
)
def test_any_name(tmp_path, name):
    path = write(tmp_path / name, tones(1000))
    assert read(path).shape == (2, 1000)
    assert read(str(path)).shape == (2, 1000)


def test_a_file_object(tmp_path):
    raw = write(tmp_path / "x.flac", tones(5000)).read_bytes()
    assert read(io.BytesIO(raw)).shape == (2, 5000)


@pytest.mark.parametrize(("offset", "duration"), [(0.5, None), (0, 0.25), (0.3, 0.4), (0.9, 5)])
def test_a_part_is_cut_out_to_the_sample(tmp_path, offset, duration):
    waveform = tones(44_100)
    part = read(write(tmp_path / "x.wav", waveform, bit_depth="32f"), offset_seconds=offset, duration_seconds=duration)
    start = round(offset * 44100)
    stop = 44100 if duration is None else min(44100, start + round(duration * 44100))
    np.testing.assert_array_equal(part, waveform[:, start:stop])


def test_it_can_be_read_again(tmp_path):
    path = write(tmp_path / "x.wav", tones(100_000))
    for source in (path, io.BytesIO(path.read_bytes())):
        with AudioReader(source) as reader:
            first = np.concatenate(list(reader.again()), axis=1)
            np.testing.assert_array_equal(np.concatenate(list(reader), axis=1), first)


def test_a_surround_file_is_downmixed(tmp_path):
    path = tmp_path / "surround.wav"
    waveform = np.zeros((6, 1000), np.float32)
    waveform[2] = 0.5  # the centre
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_f32le", rate=44100, layout="5.1")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform.T).reshape(1, -1), format="flt", layout="5.1")
        frame.sample_rate = 44100
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    stereo = read(path)
    assert stereo.shape == (2, 1000)
    np.testing.assert_allclose(stereo[0], stereo[1])
    assert 0.1 < stereo[0, 0] < 0.5


@pytest.mark.parametrize("extension", [name for name, known in FORMATS.items() if known.layout is None])
def test_nothing_is_left_without_commit(tmp_path, extension):
    rate = FORMATS[extension].sample_rate(44100)
    with AudioWriter(tmp_path / f"x.{extension}", FORMATS[extension], sample_rate=rate, n_channels=2) as writer:
        writer.write(tones(5000))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_closed_while_a_thread_encodes_into_it(tmp_path):
    """As an interrupt would close it, at which FFmpeg crashes."""
    steps, has_begun, may_end = [], threading.Event(), threading.Event()

    class Slow:
        def encode(self, waveform):
            has_begun.set()
            may_end.wait(60)
            steps.append("encoded")

        def abandon(self):
            steps.append("closed")

    writer = AudioWriter(tmp_path / "x.flac", find_format("flac"), sample_rate=44100, n_channels=2)
    writer._encoder.abandon()
    writer._encoder = Slow()
    threads = [threading.Thread(target=writer.write, args=[tones(100)]), threading.Thread(target=writer.discard)]
    threads[0].start()
    has_begun.wait(60)
    threads[1].start()
    threads[1].join(0.05)
    may_end.set()
    for thread in threads:
        thread.join()
    assert steps == ["encoded", "closed"]
    for write_more in (lambda: writer.write(tones(100)), writer.finish):
        with pytest.raises(AudioWriteError, match="given up"):
            write_more()
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = write(tmp_path / "x.wav", tones(100))
    before = path.read_bytes()
    with AudioWriter(path, find_format("wav"), sample_rate=44100, n_channels=2) as writer:
        writer.write(tones(5000))
        assert path.read_bytes() == before
    assert path.read_bytes() == before


def test_clamping_is_counted(tmp_path):
    loud = np.array([[0.0, 1.5, -2.0, 1.0]], np.float32)
    with AudioWriter(tmp_path / "x.wav", find_format("wav"), sample_rate=44100, n_channels=1) as writer:
        writer.write(loud)
        writer.finish()
        writer.commit()
    assert (writer.n_clipped, writer.peak) == (2, 2.0)
    np.testing.assert_allclose(read(tmp_path / "x.wav"), [[0, 1, -1, 1]], atol=1e-4)


def test_float_never_clips(tmp_path):
    loud = np.array([[0.0, 1.5, -2.0, 1.0]], np.float32)
    np.testing.assert_array_equal(read(write(tmp_path / "x.wav", loud, bit_depth="32f")), loud)


def test_numbers_that_are_none_are_silenced(tmp_path, caplog):
    waveform = tones(1000)
    waveform[0, 10], waveform[1, 20] = np.nan, np.inf
    soundfile.write(tmp_path / "x.wav", waveform.T, 44100, "FLOAT")
    with caplog.at_level(logging.WARNING):
        back = read(tmp_path / "x.wav")
    assert np.isfinite(back).all()
    assert "2 samples that are not finite numbers" in caplog.text


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("extension", "bit_depth"), [("wav", "16"), ("wav", "32f"), ("flac", "24"), ("ogg", "16")])
def test_numbers_that_are_none_are_not_written(tmp_path, extension, bit_depth, value):
    waveform = tones(1000)
    waveform[1, 20] = value
    with pytest.raises(AudioWriteError, match="some of its samples are not finite numbers"):
        write(tmp_path / f"x.{extension}", waveform, bit_depth=bit_depth)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AudioWriteError, match="cannot write"):
        write(tmp_path / "file" / "x.wav", tones(10))


def test_a_missing_file():
    with pytest.raises(AudioReadError, match="no such file"):
        AudioReader("missing.wav")


@pytest.mark.parametrize(("text", "bitrate"), [("128k", 128_000), ("0.32M", 320_000), ("96000", 96_000)])
def test_bitrates(text, bitrate):
    assert parse_bitrate(text) == bitrate


@pytest.mark.parametrize("text", ["", "k", "fast", "-1k", "1"])
def test_bad_bitrates(text):
    with pytest.raises(OptionError, match="bitrate"):
        parse_bitrate(text)


def test_unknown_format():
    with pytest.raises(OptionError, match="wav, flac, mp3"):
        find_format("midi")


def test_more_bytes_than_the_usual_header_can_state_get_the_long_one(tmp_path, monkeypatch):
    """RF64, of EBU Tech 3306: the lengths of 32 bits say −1, and those of 64 bits are right."""
    monkeypatch.setattr("unweave.audio.wav_encoder.LONGEST", 8000)
    path = write(tmp_path / "x.wav", tones(1000), bit_depth="32f")
    raw = path.read_bytes()
    assert raw[:8] == b"RF64" + b"\xff" * 4
    assert raw[12:16] == b"ds64"
    assert struct.unpack("<QQQ", raw[20:44]) == (len(raw) - 8, 8000, 1000)
    assert raw[-8008:-8000] == b"data" + b"\xff" * 4
    np.testing.assert_array_equal(read(path), tones(1000))


def test_less_than_four_gigabytes_get_the_usual_header(tmp_path):
    assert write(tmp_path / "x.wav", tones(100)).read_bytes()[:4] == b"RIFF"


@pytest.mark.parametrize("module", ["av", "onnxruntime", "numpy", "torch", "click", "rich"])
def test_import_unweave_loads_nothing(module):
    code = f"import sys, unweave; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
