"""The levels of a mix, and the files that one can be."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.signals import error_db, noise
from unweave.errors import OptionError
from unweave.separation.output import OutputOptions
from unweave.separation.remix import Mix, options_for

STEMS = {"vocals": np.full((2, 3), 0.25, np.float32), "accompaniment": np.full((2, 3), 0.5, np.float32)}


@pytest.mark.parametrize(
    ("mix", "left", "right"),
    [
        (Mix(), 0.75, 0.75),
        (Mix({"vocals": -math.inf}), 0.5, 0.5),
        (Mix({"vocals": -60}), 0.5, 0.5),
        (Mix({"vocals": 6.0206}), 1.0, 1.0),
        (Mix(mute=["accompaniment"]), 0.25, 0.25),
        (Mix(solo=["accompaniment"]), 0.5, 0.5),
        (Mix(solo=["vocals"], mute=["vocals"]), 0, 0),
        (Mix(pans={"accompaniment": -1}), 0.75, 0.25),
        (Mix(pans={"accompaniment": 0.5}), 0.5, 0.75),
    ],
)
def test_levels(mix, left, right):
    mix.check(STEMS)
    np.testing.assert_allclose(mix.apply(STEMS), [[left] * 3, [right] * 3], atol=1e-5)


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        (Mix({"vocals": 25}), "at most 24 dB for vocals, got 25"),
        (Mix({"vocals": math.nan}), "at most 24 dB for vocals, got nan"),
        (Mix({"vocals": math.inf}), "at most 24 dB for vocals, got inf"),
        (Mix(pans={"vocals": 1.5}), "from -1 to 1 for vocals, got 1.5"),
        (Mix(pans={"vocals": math.nan}), "from -1 to 1 for vocals, got nan"),
        (Mix({"drums": 0}), "expected stems of vocals, accompaniment, got drums"),
    ],
)
def test_levels_that_there_are_not(mix, said):
    with pytest.raises(OptionError, match=said):
        mix.check(STEMS)


def test_a_mix_that_changes_nothing_is_the_song(toy, tmp_path):
    song = noise(30_000, level=0.1)
    toy.remix_file(write(tmp_path / "song.wav", song, bit_depth="32f"), tmp_path / "mix.wav", Mix(),
                   OutputOptions("wav", bit_depth="32f"))  # fmt: skip
    assert error_db(read(tmp_path / "mix.wav"), song) < -100


@pytest.mark.parametrize("name", ["mix.stem.mp4", "mix.STEM.MP4", "mix.vdjstems"])
def test_a_file_of_several_stems_is_no_mix(toy, tmp_path, name):
    with pytest.raises(OptionError, match="a remix is a single recording"):
        options_for(Path(name), "256k", "16")
    song = write(tmp_path / "song.wav", noise(5000, level=0.1))
    codec = name.lower().removeprefix("mix.")
    with pytest.raises(OptionError, match="a remix is a single recording"):
        toy.remix_file(song, tmp_path / name, Mix(), OutputOptions(codec))
    assert not (tmp_path / name).exists()


def test_the_extension_decides():
    assert options_for(Path("a.b/mix.FLAC"), "256k", "24").codec == "flac"
    with pytest.raises(OptionError, match="cannot tell in which format to write a.b/mix: add an extension"):
        options_for(Path("a.b/mix"), "256k", "16")
