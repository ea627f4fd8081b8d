"""Presets: sums, borders, the whole band."""

import numpy as np
import pytest

from tests.audio.test_files import write
from tests.helpers.signals import error_db, noise, song
from tests.helpers.toys import TOY, TOY_FIVE, write_toy
from unweave import OptionError, Separator
from unweave.dsp.stft import stft
from unweave.families.quality import PRESETS

SUMMING = [name for name, preset in PRESETS.items() if preset.sums_to_mixture]


@pytest.mark.parametrize("quality", SUMMING)
@pytest.mark.parametrize(("sample_rate", "n_channels"), [(44100, 2), (48000, 2), (22050, 1)])
def test_stems_sum_to_the_mixture(toy_json, quality, sample_rate, n_channels):
    mixture = noise(40_000, n_channels, level=0.3)
    stems = Separator(str(toy_json), quality=quality).separate(mixture, sample_rate)
    difference = np.abs(sum(stems.values()) - mixture)
    assert difference.max() <= np.spacing(np.float32(2))  # the last bit of what is added up


def test_exact_is_left_as_it_is(toy_json):
    mixture = noise(40_000)
    total = sum(Separator(str(toy_json), quality="exact").separate(mixture, 44100).values())
    assert error_db(total, mixture) > -20  # the toy sees half the band


@pytest.mark.parametrize("chosen", [None, ["vocals"]])
def test_the_residual_as_a_stem(toy_json, tmp_path, chosen):
    separator = Separator(str(toy_json), quality="exact", residual=True)
    mixture = noise(30_000)
    stems = separator.separate(mixture, 44100, stems=chosen)
    assert tuple(stems) == (*(chosen or TOY.stems), "residual")
    assert error_db(sum(stems.values()), mixture) < -120
    paths = separator.separate_file(write(tmp_path / "x.wav", mixture), tmp_path / "out", stems=chosen)
    assert (tmp_path / "out/x/residual.wav") == paths["residual"]
    assert paths["residual"].is_file()


@pytest.mark.parametrize("quality", PRESETS)
@pytest.mark.parametrize("spec", [TOY, TOY_FIVE], ids=["two", "five"])
def test_every_preset_on_every_length(tmp_path, cache, quality, spec):
    separator = Separator(str(write_toy(tmp_path, spec)), quality=quality)
    for n_samples in (1, 4000, 4096, 4097, 50_000):
        stems = separator.separate(noise(n_samples), 44100)
        assert stems.n_samples == n_samples
        assert all(np.isfinite(stem).all() for stem in stems.values())


def test_unknown_quality(toy_json):
    with pytest.raises(OptionError, match="exact, fast, balanced, best"):
        Separator(str(toy_json), quality="superb")


def test_nothing_is_cut_off_above_11_khz(separator):
    mixture = song(12.0) + noise(12 * 44100, level=0.02)
    high = slice(1100, 2049)
    level = np.linalg.norm(stft(mixture)[..., high])
    exact = separator.separate(mixture, 44100)
    assert all(np.linalg.norm(stft(stem)[..., high]) < 0.05 * level for stem in exact.values())
    full = Separator("spleeter:2stems").separate(mixture, 44100)
    assert np.linalg.norm(stft(full["accompaniment"])[..., high]) > 0.5 * level
    assert error_db(sum(full.values()), mixture) < -120


def steps_at_borders(stem, borders, n_around=1024):
    """How much faster the level of a stem changes at the borders than elsewhere."""
    power = np.square(stem, dtype=np.float64).sum(axis=0)
    level = 10 * np.log10(np.convolve(power, np.ones(n_around) / n_around, "same") + 1e-12)
    change = np.abs(level[n_around:] - level[:-n_around])
    at_borders = max(change[border - 3 * n_around : border + 2 * n_around].max() for border in borders)
    away = np.ones(len(change), bool)
    away[:44100] = away[-44100:] = False
    for border in borders:
        away[border - 90_000 : border + 90_000] = False
    return at_borders, change[away].max()


def test_a_steady_tone_has_no_step_at_the_borders(separator):
    """A chord held over three borders of the original's segments."""
    t = np.arange(44100 * 48) / 44100
    tone = sum(np.sin(2 * np.pi * 220 * k * t + k) / k for k in range(1, 12))
    mixture = np.stack([0.15 * tone, 0.12 * tone]).astype(np.float32)
    borders = [512 * 1024 * k - 4096 for k in (1, 2, 3)]
    original, _ = steps_at_borders(separator.separate(mixture, 44100)["vocals"], borders)
    assert original > 20  # dB: what the original does there
    for name, stem in Separator("spleeter:2stems", quality="balanced").separate(mixture, 44100).items():
        at_borders, elsewhere = steps_at_borders(stem, borders)
        assert at_borders < min(5, max(0.5, elsewhere)), name
