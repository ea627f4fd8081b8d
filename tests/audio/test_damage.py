"""Damaged files: what can be read is read, and nothing but our own error is raised."""

import errno
import io
import itertools
import logging
import os
import struct
from contextlib import suppress
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile

from tests.helpers.media import encoded
from tests.helpers.signals import tones
from unweave.audio.decode import AudioReader
from unweave.audio.ffmpeg import FFmpegDecoder
from unweave.audio.sources import Section
from unweave.errors import AudioReadError

SONG = tones(24_000, 48_000)
KINDS = [
    ("mp2", "mp2"),
    ("mp3", "libmp3lame"),
    ("ac3", "ac3"),
    ("adts", "aac"),
    ("mp4", "aac"),
    ("mp4", "alac"),
    ("ogg", "flac"),
    ("opus", "libopus"),
    ("flac", "flac"),
    ("wav", "pcm_s24le"),
    ("w64", "pcm_f32le"),
    ("aiff", "pcm_s16be"),
    ("caf", "pcm_s24le"),
    ("matroska", "aac"),
    ("mpegts", "aac"),
    ("asf", "wmav2"),
]


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_changed_bytes(container, codec):
    raw = encoded(SONG, container, codec, 48_000)
    raw = raw + raw if container in ("mp2", "ac3", "ogg", "flac", "wav") else raw
    for seed in range(25):
        random = np.random.default_rng(seed)
        damaged = bytearray(raw)
        reach = 200 if seed % 2 else len(raw)  # half of them in the headers
        for place in random.integers(0, min(reach, len(raw)), 1 + seed):
            damaged[place] = random.integers(0, 256)
        with suppress(AudioReadError), AudioReader(io.BytesIO(bytes(damaged))) as reader:
            assert reader.n_channels in (1, 2)
            for block in reader:
                assert np.isfinite(block).all()
                assert len(block) == reader.n_channels


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_files_that_are_cut_off(container, codec):
    raw = encoded(SONG, container, codec, 48_000)
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        with suppress(AudioReadError), AudioReader(io.BytesIO(raw[: int(share * len(raw))])) as reader:
            assert sum(block.shape[1] for block in reader) <= 26_000


def test_a_stream_that_begins_midway_does_not_end_the_reading():
    """PyAV raises IndexError for a packet of a stream that was not there when the file was opened."""
    sound = SimpleNamespace(index=3)
    rest = [["first"], ["second", "third"]]

    class Container:
        format = SimpleNamespace(name="mpegts")
        streams = SimpleNamespace(audio=[sound])

        def demux(self, *streams):
            yield from (SimpleNamespace(name=name, stream=sound, size=1) for name in rest.pop(0))
            if rest:
                raise IndexError("list index out of range")

    decoder = FFmpegDecoder.__new__(FFmpegDecoder)
    decoder._container, decoder._stream = Container(), sound
    decoder._source = SimpleNamespace(name="song.ts")
    assert [packet.name for packet in decoder._demuxed()] == ["first", "second", "third"]
    assert decoder._begins_midway


def test_a_transport_stream_whose_sound_goes_on_in_another_stream(caplog):
    """Joined recordings of two stations: the sound's number changes, and FFmpeg's reader does not follow it."""
    parts = [encoded(SONG, "mpegts", "aac", 48_000, options={"mpegts_start_pid": pid}) for pid in ("256", "768")]
    with caplog.at_level(logging.WARNING), AudioReader(io.BytesIO(parts[0] + 20 * parts[1])) as reader:
        n_read = sum(block.shape[1] for block in reader)
    assert n_read == pytest.approx(24_000, abs=2048)
    assert "its sound goes on in another track, which was not read" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING), AudioReader(io.BytesIO(encoded([SONG, SONG], "mpegts", "aac"))) as reader:
        assert sum(block.shape[1] for block in reader) > 0
    assert caplog.text == ""


# What states its length at its beginning, and how much of it is left.
STATED = [("wav", "pcm_s24le"), ("flac", "flac"), ("w64", "pcm_f32le"), ("aiff", "pcm_s16be"), ("tta", "tta")]


@pytest.mark.parametrize(("container", "codec"), [*STATED, ("matroska", "flac")])
def test_what_is_missing_at_the_end_is_told(container, codec, caplog):
    raw = encoded(tones(4 * 48_000, 48_000), container, codec, 48_000)
    for part, is_told in ((raw, False), (raw[: len(raw) // 2], True)):
        caplog.clear()
        with caplog.at_level(logging.WARNING), AudioReader(io.BytesIO(part)) as reader:
            assert sum(block.shape[1] for block in reader) > 48_000
        assert ("the file may be incomplete" in caplog.text) == is_told
        assert reader.is_incomplete == is_told
        assert len(caplog.records) <= 2  # with what FFmpeg makes of the last packet


def failing_read(section, size=-1):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_disk_that_fails_is_no_file_that_ends_early(tmp_path, monkeypatch):
    raw = encoded(tones(4 * 48_000, 48_000), "flac", "flac", 48_000)
    path = tmp_path / "song.flac"
    path.write_bytes(raw[: len(raw) // 2])  # all that FFmpeg gets to see of it

    with AudioReader(path) as reader:
        blocks = iter(reader)
        next(blocks)
        monkeypatch.setattr("unweave.audio.sources.Section.read", failing_read)
        with pytest.raises(AudioReadError, match=r"song.flac to its end: input/output error"):
            list(blocks)


def test_a_disk_that_fails_in_the_middle_of_an_mp3(tmp_path, monkeypatch):
    """Whose header does not say how long it is, so that nothing else tells."""
    path = tmp_path / "song.mp3"
    path.write_bytes(encoded(tones(4 * 48_000, 48_000), "mp3", "libmp3lame", 48_000))
    demuxed = FFmpegDecoder._demuxed

    def ends_early(decoder):
        yield from itertools.islice(demuxed(decoder), 50)
        raise av.error.OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(FFmpegDecoder, "_demuxed", ends_early)
    with AudioReader(path) as reader:
        assert 0 < sum(block.shape[1] for block in reader) < 2 * 48_000
        assert reader.is_incomplete  # but the disk can be read: the file is damaged
    with AudioReader(path) as reader:
        monkeypatch.setattr("unweave.audio.sources.Section.read", failing_read)
        with pytest.raises(AudioReadError, match=r"song.mp3 to its end: input/output error"):
            list(reader)


def test_a_disk_that_fails_under_libsndfile(tmp_path, monkeypatch, capfd):
    path = tmp_path / "song.aiff"
    soundfile.write(path, tones(4 * 48_000, 48_000).T, 48_000, "PCM_24", endian="LITTLE")
    read = Section.read

    def fails(section, size=-1):
        if section.tell() > 400_000:
            failing_read(section)
        return read(section, size)

    with AudioReader(path) as reader:
        monkeypatch.setattr(Section, "read", fails)
        with pytest.raises(AudioReadError, match=r"song.aiff: input/output error"):
            list(reader)
    assert capfd.readouterr().err == ""


def test_sound_behind_the_stated_size_is_told(caplog):
    """As of a recorder that was cut off, or of a program that wrote more than 4 GB."""
    raw = bytearray(encoded(tones(4 * 48_000, 48_000), "wav", "pcm_s16le", 48_000))
    place = raw.index(b"data") + 4
    tags = b"LIST" + struct.pack("<I", 70_000) + bytes(70_000)
    whole, cut, unknown = bytes(raw), raw.copy(), raw.copy()
    unknown[place : place + 4] = b"\xff\xff\xff\xff"
    cut[place : place + 4] = struct.pack("<I", 48_000 * 4)
    appended = b"ID3\x04" + bytes(100_000)
    right = (whole, whole + tags, whole + appended, bytes(unknown))
    for file, is_told in (*((each, False) for each in right), (bytes(cut), True)):
        caplog.clear()
        with caplog.at_level(logging.WARNING), AudioReader(io.BytesIO(file)) as reader:
            assert sum(block.shape[1] for block in reader) == (48_000 if is_told else 4 * 48_000)
        assert ("the last 0.6 MB were not read" in caplog.text) == is_told
        assert bool(caplog.text) == is_told


def test_a_part_of_a_whole_file_is_not_taken_for_a_cut_off_one(caplog):
    raw = encoded(tones(4 * 48_000, 48_000), "wav", "pcm_s16le", 48_000)
    with caplog.at_level(logging.WARNING), AudioReader(io.BytesIO(raw), duration_seconds=1) as reader:
        assert sum(block.shape[1] for block in reader) == 48_000
    assert caplog.text == ""
