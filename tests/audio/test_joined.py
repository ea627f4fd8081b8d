"""Streams that change midway and files that were joined end to end: every part is there, at its place."""

import io
import logging
import os
import struct

import numpy as np
import pytest

from tests.audio.test_files import read
from tests.helpers.media import encoded
from tests.helpers.signals import error_db, tones
from unweave.audio.decode import MOST_LINKS, AudioReader
from unweave.audio.links import WHOLE, Link, find_links
from unweave.errors import AudioReadError

SECOND = 48_000
MONO = tones(SECOND, SECOND)[1:]
STEREO = tones(SECOND, SECOND)
SURROUND = np.repeat(tones(SECOND, SECOND), 3, axis=0)[[0, 1, 2, 3, 4, 5]]

EXACT = [
    ("ogg", "flac"),
    ("opus", "libopus"),
    ("flac", "flac"),
    ("wav", "pcm_s16le"),
    ("aiff", "pcm_s16be"),
    ("mp4", "aac"),
    ("tta", "tta"),
    ("wv", "wavpack"),
    ("w64", "pcm_s24le"),
    ("caf", "pcm_s16le"),
    ("au", "pcm_s16be"),
    ("asf", "wmav2"),
    ("flv", "aac"),
]
# Codecs whose delay and padding a file does not tell: samples more or fewer than were encoded, at most.
UNTOLD = {("asf", "wmav2"): 2048, ("flv", "aac"): 2048}
FRAMED = [("mp2", "mp2"), ("ac3", "ac3"), ("mp3", "libmp3lame"), ("adts", "aac"), ("mpegts", "aac"), ("eac3", "eac3")]


def joined(container, codec, *parts):
    """(waveform, sample rate) each."""
    options = {"movie_timescale": "96000"} if container == "mp4" else None
    return b"".join(encoded(waveform, container, codec, rate, options=options) for waveform, rate in parts)


@pytest.mark.parametrize(("container", "codec"), EXACT)
@pytest.mark.parametrize(("first", "second"), [(MONO, STEREO), (STEREO, MONO), (STEREO, STEREO)])
def test_files_joined_end_to_end_are_whole(container, codec, first, second):
    n_untold = UNTOLD.get((container, codec), 0)
    back = read(io.BytesIO(joined(container, codec, (first, 48_000), (second, 48_000))))
    assert len(back) == max(len(first), len(second))
    assert back.shape[1] == pytest.approx(2 * SECOND, abs=2 * n_untold)
    if n_untold:
        for part in (back[:, : SECOND // 2], back[:, 3 * SECOND // 2 :]):
            assert np.abs(part).max() > 0.2
        return
    for part, wanted in ((back[:, :SECOND], first), (back[:, SECOND:], second)):
        assert error_db(part, np.broadcast_to(wanted, part.shape)) < (-10 if codec == "aac" else -20)


@pytest.mark.parametrize(
    ("container", "codec"), [pair for pair in EXACT if pair[1] != "libopus" and pair not in UNTOLD]
)
@pytest.mark.parametrize(("first", "second"), [(48_000, 32_000), (32_000, 48_000)])
def test_joined_files_may_have_other_rates(container, codec, first, second, caplog):
    one, two = tones(first, first), tones(second, second)
    with (
        caplog.at_level(logging.WARNING),
        AudioReader(io.BytesIO(joined(container, codec, (one, first), (two, second)))) as reader,
    ):
        assert reader.sample_rate == first
        assert reader.expected_seconds == pytest.approx(2, abs=0.03)
        back = np.concatenate(list(reader), axis=1)
    assert abs(back.shape[1] - 2 * first) <= 1
    assert error_db(back[:, first : 2 * first - 10], tones(first, first)[:, : first - 10]) < (
        -10 if codec == "aac" else -20
    )
    assert "changes midway" in caplog.text


@pytest.mark.parametrize(("container", "codec"), FRAMED)
@pytest.mark.parametrize(("first", "second"), [(MONO, STEREO), (STEREO, MONO)])
def test_framed_streams_may_change_their_channels(container, codec, first, second, caplog):
    with caplog.at_level(logging.WARNING):
        back = read(io.BytesIO(joined(container, codec, (first, 48_000), (second, 48_000))))
    assert len(back) >= len(first)
    assert back.shape[1] == pytest.approx(2 * SECOND, abs=7000)  # delay and padding of both
    assert np.abs(back[:, : SECOND // 2]).max() > 0.2
    assert np.abs(back[:, 3 * SECOND // 2 :]).max() > 0.2
    assert "changes midway" in caplog.text


@pytest.mark.parametrize(("container", "codec"), FRAMED)
def test_framed_streams_may_change_their_rate(container, codec):
    back = read(io.BytesIO(joined(container, codec, (STEREO, 48_000), (tones(32_000, 32_000), 32_000))))
    assert back.shape[1] == pytest.approx(2 * SECOND, abs=8000)


@pytest.mark.parametrize("layouts", [("5.1", "3.0"), ("stereo", "5.1"), ("5.1", "mono")])
def test_surround_that_changes(layouts):
    parts = []
    for layout in layouts:
        n_channels = {"5.1": 6, "3.0": 3, "stereo": 2, "mono": 1}[layout]
        parts.append(encoded(SURROUND[:n_channels], "ac3", "ac3", 48_000, layout))
    back = read(io.BytesIO(b"".join(parts)))
    assert len(back) == 2
    assert back.shape[1] == pytest.approx(2 * SECOND, abs=4000)


def test_a_change_of_the_sample_format_is_followed():
    """16 bits, then 24: FFmpeg's FLAC decoder gives other frames."""
    quiet = (0.25 * STEREO).astype(np.float32)
    both = encoded(STEREO, "flac", "flac", 48_000) + encoded(quiet, "wav", "pcm_s24le", 48_000)
    assert read(io.BytesIO(both)).shape == (2, SECOND)  # another kind of file behind it is no link
    links = encoded(STEREO, "wav", "pcm_s16le", 48_000) + encoded(quiet, "wav", "pcm_f32le", 48_000)
    back = read(io.BytesIO(links))
    assert error_db(back, np.concatenate([STEREO, quiet], axis=1)) < -80


def test_three_links_and_damage_between_them(caplog):
    parts = [encoded(tones(5 * SECOND, SECOND), "opus", "libopus", SECOND) for _ in range(3)]
    raw = parts[0] + b"\x00garbage" * 50 + parts[1] + parts[2][:-500]
    back = read(io.BytesIO(raw))
    assert 11 * SECOND < back.shape[1] <= 15 * SECOND


def test_a_link_that_cannot_be_read_is_told(caplog):
    whole = encoded(STEREO, "flac", "flac", 48_000)
    with caplog.at_level(logging.WARNING):
        back = read(io.BytesIO(whole + whole[:8]))
    assert back.shape == STEREO.shape
    assert "left out" in caplog.text


@pytest.mark.parametrize(("container", "codec"), EXACT)
def test_one_file_is_one_link(container, codec):
    assert find_links(io.BytesIO(encoded(STEREO, container, codec, 48_000))) == (WHOLE,)


def test_kinds_that_nothing_here_writes():
    """Monkey's Audio, and WavPack whose blocks hold more channels than two: two blocks for a moment."""
    ape = b"MAC \x96\x0f\0\0\x34\0\0\0" + bytes(100)
    assert find_links(io.BytesIO(ape + ape)) == (Link(0, 112), Link(112))

    def block(first, flags):
        return struct.pack("<4sIHBBIIIII", b"wvpk", 24 + 10, 0x410, 0, 0, 200, first, 100, flags, 0) + bytes(10)

    one = block(0, 0x800) + block(0, 0x1000) + block(100, 0x800) + block(100, 0x1000)
    assert find_links(io.BytesIO(one)) == (WHOLE,)
    tag = b"APETAGEX" + bytes(50)
    n_bytes = len(one) + len(tag)
    assert find_links(io.BytesIO(one + tag + one)) == (Link(0, n_bytes), Link(n_bytes))


def test_the_name_of_a_kind_in_the_sound_is_no_link():
    """TTA's is short enough to come by chance: its header has a checksum."""
    raw = encoded(STEREO, "tta", "tta", 48_000)
    assert find_links(io.BytesIO(raw + b"TTA1\x01\x00" + bytes(100))) == (WHOLE,)
    assert len(find_links(io.BytesIO(raw + b"TTA1\x01\x00" + raw))) == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"OggS",
        b"wvpk",
        b".snd",
        b".snd" + bytes(20),  # a header that ends where it begins
        b"TTA1\x01\x00",
        b"caff\0\x01\0\0desc",
        b"fLaC\x00\x00\x00\x22",
        b"RIFF\xff\xff\xff\xffWAVE",
        bytes(100),
    ],
)
def test_links_of_what_is_no_file(raw):
    assert find_links(io.BytesIO(raw)) == (WHOLE,)


def lowest_free_descriptor():
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


@pytest.mark.parametrize(("container", "codec"), [("flac", "flac"), ("ogg", "flac")])
def test_a_day_of_web_radio_takes_a_few_file_handles(container, codec, tmp_path):
    """Systems allow 256 to 1024 of them; the links were opened several times each."""
    n_links = 60
    path = tmp_path / "radio"
    path.write_bytes(n_links * encoded(tones(480, 480), container, codec, 48_000))
    before = lowest_free_descriptor()
    with AudioReader(path) as reader:
        assert reader.expected_seconds == pytest.approx(n_links * 0.01, rel=0.2)
        assert sum(block.shape[1] for block in reader) == n_links * 480
        assert lowest_free_descriptor() <= before + 4
    assert lowest_free_descriptor() == before


class CountingFile(io.BytesIO):
    n_read = 0

    def read(self, size=-1):
        raw = super().read(size)
        self.n_read += len(raw)
        return raw


def test_a_file_of_nothing_but_beginnings_is_refused_at_once():
    file = CountingFile(b"fLaC\x00\x00\x00\x22" * 20_000)
    with pytest.raises(AudioReadError, match=f"20000 files joined end to end, of which at most {MOST_LINKS}"):
        AudioReader(file)
    assert file.n_read < 4 * len(file.getbuffer())


@pytest.mark.parametrize("unit", [b"OggS\x01", b"wvpk" + bytes(28)], ids=["ogg", "wavpack"])
def test_a_file_of_nothing_but_names_of_blocks_is_searched_once(unit):
    """Each name, of a block that is none, was followed by a search through the next megabyte."""
    file = CountingFile(unit * (100_000 // len(unit)))
    assert find_links(file) == (WHOLE,)
    assert file.n_read < 60 * len(file.getbuffer())


def test_blocks_are_found_far_behind_damage():
    """Of three links, two have a megabyte of zeros in front, and one has a name in it that is none."""
    one = encoded(MONO, "ogg", "flac", 48_000)
    gap = bytes(1_200_000)
    raw = one + gap + one + b"OggS\x01" + gap + one
    starts = [0, len(one) + len(gap), 2 * len(one) + 5 + 2 * len(gap)]
    assert [link.start for link in find_links(io.BytesIO(raw))] == starts
