"""The files that a remix can be, and the levels at the ends of their ranges."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.signals import noise
from unweave.audio.tags import Tags
from unweave.errors import OptionError
from unweave.separation.mix import Mix
from unweave.separation.output import OutputOptions
from unweave.separation.remix import options_for, write_mix
from unweave.types import Stems

STEMS = {"vocals": np.full((2, 3), 0.25, np.float32), "accompaniment": np.full((2, 3), 0.5, np.float32)}


def test_minus_infinity_is_silence():
    mix = Mix({"vocals": -math.inf})
    mix.check(STEMS)
    np.testing.assert_array_equal(mix.apply(STEMS), STEMS["accompaniment"])


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        (Mix({"vocals": 25}), "at most 24 dB for vocals, got 25"),
        (Mix({"vocals": math.nan}), "at most 24 dB for vocals, got nan"),
        (Mix(pans={"vocals": 1.5}), "from -1 to 1 for vocals, got 1.5"),
    ],
)
def test_which_level_is_wrong_is_said(mix, said):
    with pytest.raises(OptionError, match=said):
        mix.check(STEMS)


@pytest.mark.parametrize("name", ["mix.stem.mp4", "mix.STEM.MP4", "mix.vdjstems"])
def test_a_file_of_several_stems_is_no_mix(toy, tmp_path, name):
    with pytest.raises(OptionError, match="not a single recording"):
        options_for(Path(name), "256k", "16")
    song = write(tmp_path / "song.wav", noise(5000, level=0.1))
    with pytest.raises(OptionError, match="not a single recording"):
        toy.remix_file(song, tmp_path / name, Mix(), OutputOptions(name.lower().removeprefix("mix.")))
    assert not (tmp_path / name).exists()


def test_the_extension_decides():
    assert options_for(Path("a.b/mix.FLAC"), "256k", "24").codec == "flac"
    with pytest.raises(OptionError, match=r"in which format to write a\.b/mix: add an extension"):
        options_for(Path("a.b/mix"), "256k", "16")


@pytest.mark.parametrize(("given", "wanted"), [(2, 1), (1, 2), (2, 2), (1, None)])
def test_the_channels_that_were_asked_for(tmp_path, given, wanted):
    song = noise(1000, given)
    options = OutputOptions(bit_depth="32f", n_channels=wanted)
    parts = [Stems({"vocals": song}, 44100)]
    write_mix(parts, Mix(), tmp_path / "mix.wav", options, sample_rate=44100, n_channels=given, tags=Tags())
    expected = song.mean(axis=0, keepdims=True) if wanted == 1 else np.broadcast_to(song, (wanted or given, 1000))
    np.testing.assert_allclose(read(tmp_path / "mix.wav"), expected, atol=1e-6)
