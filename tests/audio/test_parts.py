"""A part of a file that cannot be, or that is empty, is one clear line and no empty stems."""

import io
import math

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.media import encoded
from tests.helpers.signals import tones
from unweave import OptionError
from unweave.audio.decode import AudioReader
from unweave.errors import AudioReadError
from unweave.separation.output import OutputOptions


@pytest.fixture
def song(tmp_path):
    return write(tmp_path / "song.wav", tones(44_100))


@pytest.mark.parametrize("offset", [math.nan, math.inf, -math.inf, -1e-9, -3.0, 1e300])
def test_impossible_offsets(song, offset):
    with pytest.raises(OptionError, match="expected an offset") as caught:
        AudioReader(song, offset_seconds=offset)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("duration", [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e300])
def test_impossible_durations(song, duration):
    with pytest.raises(OptionError, match="duration"):
        AudioReader(song, duration_seconds=duration)


@pytest.mark.parametrize("offset", [1.0, 1.5, 100.0, 1e8])
def test_nothing_from_there_on(song, offset):
    with (
        AudioReader(song, offset_seconds=offset) as reader,
        pytest.raises(
            AudioReadError, match=rf"it is 1\.0 s long, so there is nothing from {offset:g} s on".replace("+", r"\+")
        ),
    ):
        list(reader)


def test_nothing_from_there_on_in_a_second_pass(song):
    with AudioReader(song, offset_seconds=2.0) as reader, pytest.raises(AudioReadError, match="nothing from 2 s on"):
        list(reader.again())


@pytest.mark.parametrize("duration", [1e-9, 0.49 / 44100])
def test_less_than_one_sample(song, duration):
    with pytest.raises(AudioReadError, match="shorter than one sample at 44100 Hz"):
        AudioReader(song, duration_seconds=duration)


def test_one_sample_is_a_part(song):
    assert read(song, offset_seconds=0.5, duration_seconds=0.51 / 44100).shape == (2, 1)
    assert read(song, offset_seconds=44_099 / 44_100).shape == (2, 1)


@pytest.mark.parametrize("codec", ["wav", "mp3", "stem.mp4", "vdjstems"])
@pytest.mark.parametrize("part", [{"offset_seconds": 100.0}, {"duration_seconds": 1e-9}])
def test_no_stems_of_nothing(toy, song, tmp_path, codec, part):
    with pytest.raises(AudioReadError, match=r"nothing from 100 s on|shorter than one sample"):
        toy.separate_file(song, tmp_path / "out", OutputOptions(codec), **part)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_parts_of_joined_and_of_misread_files(tmp_path):
    two = encoded(tones(22_050)[:1], "flac", "flac") + encoded(tones(22_050), "flac", "flac")
    part = read(io.BytesIO(two), offset_seconds=0.25, duration_seconds=0.5)
    np.testing.assert_array_equal(part, read(io.BytesIO(two))[:, 11_025:33_075])
    with AudioReader(io.BytesIO(two), offset_seconds=0.25) as reader:
        assert reader.expected_seconds == pytest.approx(0.75)
