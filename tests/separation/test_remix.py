"""Stems back into one mix."""

import math
import os

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.signals import noise, tones
from unweave import OptionError, Separator
from unweave.audio.decode import AudioReader
from unweave.audio.tags import Tags
from unweave.errors import AudioWriteError
from unweave.files import PartFile
from unweave.separation.mix import Mix, stem_numbers
from unweave.separation.output import OutputOptions
from unweave.separation.remix import check_target, write_mix
from unweave.types import Stems

ONE, TWO = noise(50, seed=1), noise(50, seed=2)
STEMS = {"vocals": ONE, "drums": TWO}


def test_a_mixer_that_nobody_touched_gives_the_sum():
    np.testing.assert_allclose(Mix().apply(STEMS), ONE + TWO, atol=1e-7)


def test_gains_are_in_decibels():
    mix = Mix(gains_db={"vocals": -20.0, "drums": 20 * math.log10(2)})
    np.testing.assert_allclose(mix.apply(STEMS), ONE / 10 + 2 * TWO, rtol=1e-5, atol=1e-7)


def test_a_pan_turns_the_other_channel_down():
    left = Mix(pans={"vocals": -0.25, "drums": 1}).apply(STEMS)
    np.testing.assert_allclose(left, [ONE[0], 0.75 * ONE[1] + TWO[1]], rtol=1e-5, atol=1e-7)
    right = Mix(pans={"vocals": 0.25, "drums": -1}).apply(STEMS)
    np.testing.assert_allclose(right, [0.75 * ONE[0] + TWO[0], ONE[1]], rtol=1e-5, atol=1e-7)


def test_one_channel_has_no_sides():
    mono = {name: stem[:1] for name, stem in STEMS.items()}
    np.testing.assert_allclose(Mix(pans={"vocals": -1}).apply(mono), ONE[:1] + TWO[:1], atol=1e-7)


@pytest.mark.parametrize(
    ("mix", "heard"),
    [
        (Mix(mute=["vocals"]), ["drums", "bass"]),
        (Mix(solo=["vocals", "bass"]), ["vocals", "bass"]),
        (Mix(mute=["vocals"], solo=["vocals", "bass"]), ["bass"]),
        (Mix(gains_db={"vocals": -60.0, "drums": -59.9}), ["drums", "bass"]),
        (Mix(gains_db={"bass": -60.0}, solo=["bass"]), []),
    ],
)
def test_what_is_heard(mix, heard):
    stems = {**STEMS, "bass": ONE * 2}
    assert [name for name in stems if mix.is_heard(name)] == heard
    only = Mix(gains_db=mix.gains_db).apply({name: stems[name] for name in heard}) if heard else np.zeros_like(ONE)
    np.testing.assert_allclose(mix.apply(stems), only, atol=1e-7)


def test_the_stems_are_not_changed():
    before = [ONE.copy(), TWO.copy()]
    Mix(gains_db={"vocals": 6.0}).apply(STEMS)
    np.testing.assert_array_equal([ONE, TWO], before)


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        (Mix(gains_db={"piano": 0.0}), "vocals, drums, got piano"),
        (Mix(mute=["b"], solo=["a"]), "got a, b"),
        (Mix(pans={"piano": 0.0}), "got piano"),
        (Mix(gains_db={"vocals": 24.1}), "at most 24 dB"),
        (Mix(gains_db={"vocals": math.nan}), "at most 24 dB"),
        (Mix(gains_db={"vocals": math.inf}), "at most 24 dB"),
        (Mix(sensitivities={"piano": 0.5}), "got piano"),
        (Mix(sensitivities={"vocals": 1.01}), "sensitivity from 0 to 1 for vocals, got 1.01"),
        (Mix(sensitivities={"vocals": -0.01}), "from 0 to 1"),
        (Mix(sensitivities={"vocals": math.nan}), "from 0 to 1"),
        (Mix(pans={"vocals": 1.01}), "from -1 to 1"),
        (Mix(pans={"vocals": -1.01}), "from -1 to 1"),
        (Mix(pans={"vocals": math.nan}), "from -1 to 1"),
    ],
)
def test_settings_that_no_mixer_has(mix, said):
    with pytest.raises(OptionError, match=said):
        mix.check(STEMS)


def test_settings_at_the_ends_of_their_ranges():
    ends = {"vocals": 0, "drums": 1}
    Mix({"vocals": 24.0, "drums": -200.0}, ["vocals"], ["drums"], {"vocals": -1, "drums": 1}, ends).check(STEMS)


def test_numbers_by_stem():
    assert stem_numbers(["vocals=-6", " drums = 1.5", "a=b=2"], "=") == {"vocals": -6.0, "drums": 1.5, "a=b": 2.0}
    assert stem_numbers(["vocals:0.5"], ":") == {"vocals": 0.5}
    for text in ("vocals", "vocals=", "vocals=loud", ""):
        with pytest.raises(OptionError, match=f"--gain STEM=NUMBER, got '{text}'"):
            stem_numbers(["drums=1", text], "=", "--gain ")


def test_a_mix_never_overwrites_its_song(tmp_path):
    song = write(tmp_path / "song.wav", noise(100))
    os.link(song, tmp_path / "link.wav")
    for target in (song, tmp_path / "link.wav"):
        with pytest.raises(OptionError, match="is the input itself"):
            check_target(target, song)
    with pytest.raises(AudioWriteError, match="it is a folder"):
        check_target(tmp_path, song)
    with pytest.raises(AudioWriteError, match="too long"):
        check_target(tmp_path / f"{'x' * 300}.wav", song)
    check_target(tmp_path / "new.wav", song)
    check_target(tmp_path / "new.wav", tmp_path / "no song")


@pytest.mark.parametrize("rate", [44100, 22050])
def test_the_mix_of_all_parts_is_written(tmp_path, rate):
    signal = tones(3000)
    parts = [
        Stems({"vocals": signal[:, a:b], "drums": signal[:, a:b]}, 44100) for a, b in ((0, 0), (0, 1000), (1000, 3000))
    ]
    options = OutputOptions(bit_depth="32f", sample_rate=rate)
    target = tmp_path / "mix.wav"
    write_mix(parts, Mix(mute=["drums"]), target, options, sample_rate=44100, n_channels=2, tags=Tags())
    with AudioReader(target) as reader:
        assert reader.sample_rate == rate
    written = read(target)
    assert written.shape == (2, 3000 * rate // 44100)
    if rate == 44100:
        np.testing.assert_allclose(written, signal, atol=1e-7)
    else:
        np.testing.assert_allclose(written[:, 100:-100], signal[:, ::2][:, 100:-100], atol=2e-2)


def test_a_song_is_remixed_as_its_stems_are(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", noise(30_000))
    separator = Separator(str(toy_json))
    stems, options = separator.separate(song), OutputOptions(bit_depth="32f")
    mix = Mix(gains_db={"vocals": -6.0}, pans={"accompaniment": 0.5})
    separator.remix_file(song, tmp_path / "mix.wav", mix, options)
    np.testing.assert_allclose(read(tmp_path / "mix.wav"), mix.apply(stems), atol=1e-6)
    with pytest.raises(OptionError, match="got piano"):
        separator.remix_file(song, tmp_path / "other.wav", Mix(mute=["piano"]), options)
    with pytest.raises(OptionError, match="input itself"):
        separator.remix_file(song, song, mix, options)
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == ["mix.wav", "song.wav"]


def test_what_a_killed_remix_left_is_removed_by_the_next(toy, tmp_path):
    song, target = write(tmp_path / "song.wav", tones(3000)), tmp_path / "mixes" / "mix.wav"
    target.parent.mkdir()
    part = PartFile(target)
    part.discard()
    part.temporary.write_bytes(b"half a mix")
    toy.remix_file(song, target, Mix({"vocals": -6}), OutputOptions())
    assert list(target.parent.iterdir()) == [target]


def test_a_neutral_sensitivity_changes_no_bit_and_another_only_who_has_what(toy, tmp_path):
    song = write(tmp_path / "song.wav", noise(30_000))

    def mixed(**settings):
        toy.remix_file(song, tmp_path / "mix.wav", Mix(**settings), OutputOptions(bit_depth="32f"))
        return read(tmp_path / "mix.wav")

    plain = mixed(solo=["vocals"])
    np.testing.assert_array_equal(mixed(solo=["vocals"], sensitivities={"vocals": 0.5}), plain)
    levels = [np.linalg.norm(mixed(solo=["vocals"], sensitivities={"vocals": s})) for s in (0.2, 0.4, 0.6, 0.8)]
    assert levels == sorted(levels)
    assert levels[1] < np.linalg.norm(plain) < levels[2]
    np.testing.assert_allclose(mixed(sensitivities={"vocals": 0.9}), mixed(), atol=1e-6)


@pytest.mark.parametrize("n_channels", [1, 6])
def test_songs_in_mono_and_in_surround(toy_json, tmp_path, n_channels):
    song = write(tmp_path / "song.wav", noise(20_000, n_channels))
    separator = Separator(str(toy_json))
    separator.remix_file(song, tmp_path / "mix.wav", Mix(), OutputOptions(bit_depth="32f"))
    stems = separator.separate(song)
    np.testing.assert_allclose(read(tmp_path / "mix.wav"), sum(stems.values()), atol=1e-6)
