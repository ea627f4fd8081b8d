"""What the stems lack of the mixture goes to the stem that means "the rest", whatever the order and the choice."""

import dataclasses
import itertools

import numpy as np
import pytest

from tests.helpers.signals import noise
from tests.helpers.toys import TOY, TOY_FIVE, TOY_FOUR, write_toy
from unweave import Separator
from unweave.errors import OptionError
from unweave.models.spec import rest_of

OPTIONS = [{"wiener": "track"}, {"wiener": "segment"}, {"wiener": "track", "shifts": 2}]


@pytest.fixture
def mixture():
    return noise(30_000)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("spec", [TOY, TOY_FOUR, TOY_FIVE], ids=["two", "four", "five"])
def test_any_order_and_any_choice_give_the_same_stems(tmp_path, cache, mixture, spec, options):
    # The Wiener filter leaves out what lies above the networks' bins: three quarters of the toy's band.
    separator = Separator(write_toy(tmp_path, spec), **options)
    stems = separator.separate(mixture, 44100)
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
    rest = "accompaniment" if spec is TOY else "other"
    energy = {name: high_energy(stem) for name, stem in stems.items()}
    assert energy.pop(rest) > 1000 * sum(energy.values())
    for n in range(1, len(spec.stems) + 1):
        for chosen in itertools.islice(itertools.permutations(spec.stems, n), 2):
            some = separator.separate(mixture, 44100, stems=chosen)
            assert tuple(some) == chosen
            for name, stem in some.items():
                np.testing.assert_array_equal(stem, stems[name])


def high_energy(stem):
    """The energy well above the networks' band, without what the ends of the signal spread there."""
    spectrum = np.fft.rfft(stem * np.hanning(stem.shape[1]))
    return float(np.square(np.abs(spectrum[:, spectrum.shape[1] * 5 // 8 :])).sum())


def test_a_model_without_a_rest_keeps_its_stems_as_they_are(tmp_path, cache, mixture):
    spec = dataclasses.replace(TOY, stems=("vocals", "drums"))
    separator = Separator(write_toy(tmp_path, spec), wiener="segment")
    stems = separator.separate(mixture, 44100)
    for name, stem in stems.items():
        assert high_energy(stem) < 1e-3 * high_energy(mixture), name


def test_the_residual_as_a_stem(tmp_path, cache, mixture):
    separator = Separator(write_toy(tmp_path, TOY), wiener="segment", residual=True)
    stems = separator.separate(mixture, 44100)
    assert list(stems) == ["vocals", "accompaniment", "residual"]
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
    without = Separator(write_toy(tmp_path, TOY), wiener="segment", residual=True).separate(
        mixture, 44100, stems=["vocals"]
    )
    np.testing.assert_allclose(without["residual"], mixture - stems["vocals"], atol=1e-6)


def test_a_model_may_have_a_stem_of_that_name(tmp_path, cache, mixture):
    """One of the two would take the place of the other."""
    path = write_toy(tmp_path, dataclasses.replace(TOY, stems=("vocals", "Residual")))
    assert list(Separator(path).separate(mixture, 44100)) == ["vocals", "Residual"]
    with pytest.raises(OptionError, match="has a stem called residual itself"):
        Separator(path, residual=True)


def test_exact_drops_it(tmp_path, cache, mixture):
    stems = Separator(write_toy(tmp_path, TOY), wiener="segment", quality="exact").separate(mixture, 44100)
    assert high_energy(sum(stems.values())) < 1e-3 * high_energy(mixture)


@pytest.mark.parametrize(
    ("stems", "rest"),
    [
        (("drums", "bass", "other", "vocals"), "other"),
        (("accompaniment", "vocals"), "accompaniment"),
        (("instrumental", "vocals"), "instrumental"),
        (("Vocals", "Instrumental"), "Instrumental"),  # as MDX23C's configurations write them
        (("speech", "music"), None),
        (("vocals",), None),
    ],
)
def test_which_stem_is_the_rest(stems, rest):
    assert rest_of(stems) == rest
    assert dataclasses.replace(TOY, stems=stems).rest_stem == rest
    assert dataclasses.replace(TOY, stems=stems, rest=stems[-1]).rest_stem == stems[-1]
