import numpy as np
import pytest

from tests.dsp.test_combining import whole
from tests.helpers.pipelines import Scaled, run
from tests.helpers.signals import noise
from unweave.dsp.combining import RULES
from unweave.errors import OptionError
from unweave.separation.pipeline import EnsemblePipeline
from unweave.separation.rules import Rules, find_rules


def test_rules_are_read():
    assert find_rules(None) == Rules()
    assert find_rules("MAX_FFT") == Rules("max_fft")
    expected = Rules("avg_wave", {"vocals": "max_fft", "accompaniment": "min_fft"})
    assert find_rules(" Vocals=max_fft, accompaniment = min_fft") == expected
    assert find_rules({"vocals": "max_fft", "accompaniment": "min_fft"}) == expected
    assert find_rules("median_wave,bass=avg_fft").of("Bass") == "avg_fft"
    assert find_rules("median_wave,bass=avg_fft").of("drums") == "median_wave"
    for text in ("", "vocals=", "=max_fft", "max_fft,"):
        with pytest.raises(OptionError, match="expected a rule such as"):
            find_rules(text)
    with pytest.raises(OptionError, match=r"expected a rule among avg_wave, .*got 'loudest'"):
        find_rules("vocals=loudest")


def test_what_a_rule_is_written_as_can_be_read():
    for text in ("max_fft", "avg_wave,accompaniment=min_fft,vocals=max_fft"):
        assert find_rules(text).text == text


@pytest.mark.parametrize("rule", RULES)
def test_an_ensemble_by_rule(rule):
    """Members whose samples leave at different times are combined sample by sample all the same."""
    mixture = noise(40_000)
    gains = (0.5, -0.9, 0.2)
    members = [Scaled({"vocals": gain}, delay=delay) for gain, delay in zip(gains, (700, 4096, 5000), strict=True)]
    weights = (3.0, 1.0, 1.0)
    stems = run(EnsemblePipeline(list(zip(members, weights, strict=True)), Rules(rule)), mixture)
    estimates = [np.float32(gain) * mixture for gain in gains]
    np.testing.assert_allclose(stems["vocals"], whole(estimates, weights, rule), atol=1e-6)


def test_a_rule_by_stem():
    first, second = Scaled({"vocals": 0.25, "other": 0.5}), Scaled({"vocals": 0.75, "other": 0.25})
    mixture = noise(20_000)
    ensemble = EnsemblePipeline([(first, 1.0), (second, 1.0)], find_rules("vocals=max_fft,other=min_wave"))
    stems = run(ensemble, mixture)
    np.testing.assert_allclose(stems["vocals"], 0.75 * mixture, atol=1e-6)
    np.testing.assert_allclose(stems["other"], 0.25 * mixture, atol=1e-7)
    # All of it at once, although the spectra of one stem hold samples back.
    assert run(ensemble, mixture, ["other"])["other"].shape == mixture.shape


def test_a_rule_for_the_rest_by_any_of_its_names():
    """As docs/howto/combine.md has it, whatever the models call it."""
    first, second = Scaled({"vocals": 0.25, "accompaniment": 0.5}), Scaled({"Vocals": 0.75, "other": 0.25})
    mixture = noise(5000)
    rules = find_rules("vocals=max_wave,instrumental=min_wave")
    ensemble = EnsemblePipeline([(first, 1.0), (second, 1.0)], rules)
    rules.check([ensemble.stems])
    stems = run(ensemble, mixture)
    np.testing.assert_allclose(stems["vocals"], 0.75 * mixture, atol=1e-7)
    np.testing.assert_allclose(stems["accompaniment"], 0.25 * mixture, atol=1e-7)
    assert EnsemblePipeline([(first, 1.0), (second, 1.0)], find_rules("no-vocals=max_fft")).rest is None
    with pytest.raises(OptionError, match="expected rules for stems of vocals, drums, other, got instrumental"):
        rules.check([("vocals", "drums", "other")])
    with pytest.raises(OptionError, match="expected one rule for accompaniment, got max_fft and min_fft"):
        EnsemblePipeline([(first, 1.0), (second, 1.0)], find_rules("instrumental=max_fft,accompaniment=min_fft"))


def test_a_stem_of_one_model_is_left_as_it_is():
    two, four = Scaled({"vocals": 0.5, "accompaniment": 0.5}), Scaled({"vocals": 0.1, "drums": 0.3, "other": 0.6})
    ensemble = EnsemblePipeline([(two, 2.0), (four, 0.5)], Rules("min_fft"))
    assert ensemble.stems == ("vocals", "drums", "other")
    mixture = noise(10_000)
    np.testing.assert_array_equal(run(ensemble, mixture)["drums"], np.float32(0.3) * mixture)


def test_one_thing_by_several_names():
    """Models of vocals call the rest of the song as they please; a four-stem model's other is something else."""
    models = [{"Vocals": 0.2, "Instrumental": 0.8}, {"vocals": 0.4, "other": 0.6}, {"no_vocals": 0.7, "vocals": 0.3}]
    ensemble = EnsemblePipeline([(Scaled(gains), 1.0) for gains in models])
    assert ensemble.stems == ("Vocals", "Instrumental")
    mixture = noise(5000)
    stems = run(ensemble, mixture)
    np.testing.assert_allclose(stems["Vocals"], 0.3 * mixture, atol=1e-7)
    np.testing.assert_allclose(stems["Instrumental"], 0.7 * mixture, atol=1e-7)
    four = Scaled({"drums": 0.1, "bass": 0.1, "other": 0.5, "vocals": 0.3})
    mixed = EnsemblePipeline([(Scaled(models[1]), 1.0), (four, 1.0)])
    assert mixed.stems == ("vocals", "drums", "bass", "other")
    np.testing.assert_allclose(run(mixed, mixture)["other"], 0.5 * mixture, atol=1e-7)


def test_the_rest_is_only_filled_up_where_it_is_a_mean():
    members = [(Scaled({"vocals": 0.2, "other": 0.5}, rest="other"), 1.0)] * 2
    assert EnsemblePipeline(members).rest == "other"
    assert EnsemblePipeline(members, find_rules("vocals=max_fft")).rest == "other"
    assert EnsemblePipeline(members, find_rules("max_fft")).rest is None
