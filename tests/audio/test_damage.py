"""Damaged files: what can be read is read, and nothing but our own error is raised."""

import io
from contextlib import suppress

import numpy as np
import pytest

from tests.helpers.media import encoded
from tests.helpers.signals import tones
from unweave.audio.decode import AudioReader
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
    from unweave.audio.ffmpeg import FFmpegDecoder

    rest = [["first"], ["second", "third"]]

    class Container:
        def demux(self, stream):
            yield from rest.pop(0)
            if rest:
                raise IndexError("list index out of range")

    decoder = FFmpegDecoder.__new__(FFmpegDecoder)
    decoder._container, decoder._stream = Container(), None
    decoder._source = type("Named", (), {"name": "song.ts"})()
    assert list(decoder._demuxed()) == ["first", "second", "third"]
