"""One model after the other."""

import dataclasses
import gc

import numpy as np
import pytest

from tests.helpers.pipelines import Counting, Scaled, ScaledStream, run
from tests.helpers.signals import noise
from tests.helpers.toys import TOY, TOY_FOUR, write_toy
from unweave import OptionError, Separator
from unweave.errors import Cancelled
from unweave.separation.chain import ChainPipeline
from unweave.separation.ensemble import Member, Step, parse_ensemble, parse_steps
from unweave.separation.model_state import model_state
from unweave.separation.stem_names import stem_made_for, unique_names
from unweave.separation.stream import StreamFormat

VOCALS = {"vocals": 0.25, "instrumental": 0.5}
KARAOKE = {"lead_vocals": 0.5, "backing_vocals": 0.25}


def chain(fills_up=False, delays=(700, 4096)):
    first = Scaled(VOCALS, rest="instrumental", delay=delays[0])
    return ChainPipeline(first, "vocals", Scaled(KARAOKE, "backing_vocals", delays[1]), fills_up=fills_up)


@pytest.mark.parametrize("delays", [(700, 4096), (4096, 700), (1, 1)])
def test_the_second_separates_a_stem_of_the_first(delays):
    mixture = noise(20_000)
    pipeline = chain(delays=delays)
    assert pipeline.stems == ("instrumental", "lead_vocals", "backing_vocals")
    stems = run(pipeline, mixture)
    for name, gain in {"instrumental": 0.5, "lead_vocals": 0.125, "backing_vocals": 0.0625}.items():
        np.testing.assert_array_equal(stems[name], np.float32(gain) * mixture)


def test_what_is_lost_stays_where_it_was_lost():
    """Of the vocals a quarter is lost in the second step, of the song a quarter in the first."""
    mixture = noise(20_000)
    stems = run(chain(fills_up=True), mixture)
    for name, gain in {"instrumental": 0.75, "lead_vocals": 0.125, "backing_vocals": 0.125}.items():
        np.testing.assert_allclose(stems[name], gain * mixture, atol=1e-7)


@pytest.mark.parametrize("chosen", [("lead_vocals",), ("instrumental",), ("backing_vocals", "lead_vocals")])
def test_some_of_the_stems(chosen):
    mixture = noise(6000)
    every, some = run(chain(fills_up=True), mixture), run(chain(fills_up=True), mixture, chosen)
    assert set(some) == set(chosen)
    for name in chosen:
        np.testing.assert_array_equal(some[name], every[name])


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (22_050, 1), (44_100, 1)])
def test_other_rates_and_channels_at_the_end(rate, channels):
    """What goes from model to model keeps the rate and channels of the mixture."""
    mixture = noise(10_000)
    form = StreamFormat(44_100, 2, rate, channels)
    stems = run(chain(), mixture, form=form)
    alone = run(Scaled({"x": 1.0}), mixture, form=form)["x"]
    n_samples = -(-10_000 * rate // 44_100)
    for name, gain in {"instrumental": 0.5, "lead_vocals": 0.125}.items():
        assert abs(stems[name].shape[1] - n_samples) <= 1
        assert len(stems[name]) == channels
        n = min(n_samples, alone.shape[1], stems[name].shape[1])
        np.testing.assert_allclose(stems[name][:, :n], gain * alone[:, :n], atol=1e-6)


def test_the_second_learns_from_what_the_first_gives():
    mixture = noise(5000)
    blocks = [mixture[:, :3000], mixture[:, 3000:]]
    pipeline = ChainPipeline(Scaled(VOCALS), "vocals", Counting({"lead": 1.0}), fills_up=False)
    assert pipeline.n_learning_passes == 1
    learnt = pipeline.learn(lambda: iter(blocks), 44100, lambda seconds: None)
    total = 0.25 * float(np.abs(mixture).sum())
    np.testing.assert_allclose(run(learnt, mixture)["lead"], 0.25 * total * mixture, rtol=1e-3)


def test_what_is_given_up_while_learning_is_closed(monkeypatch):
    """What the first has begun would be computed for nothing."""
    closed = []
    monkeypatch.setattr(ScaledStream, "close", lambda self: closed.append(self))

    def cancelled(passes, sample_rate, advance):
        next(iter(passes()))
        raise Cancelled

    second = Counting({"lead": 1.0})
    monkeypatch.setattr(second, "learn", cancelled)
    with pytest.raises(Cancelled):
        ChainPipeline(Scaled(VOCALS), "vocals", second, fills_up=False).learn(
            lambda: iter([noise(100), noise(100)]), 44100, lambda seconds: None
        )
    gc.collect()
    assert len(closed) == 1


def test_names_are_unique():
    assert unique_names(["instrumental"], "vocals", ["Vocals", "Instrumental"]) == {
        "Vocals": "Vocals", "Instrumental": "vocals_Instrumental",
    }  # fmt: skip
    assert unique_names(["drums", "vocals", "other_drums"], "other", ["drums"]) == {"drums": "other_drums_2"}


def test_what_a_model_is_made_for():
    two, four = ("Vocals", "instrumental"), ("drums", "bass", "other", "vocals")
    assert stem_made_for("mel_karaoke", ("vocals", "other"), two) == "Vocals"
    assert stem_made_for("x", ("noreverb", "reverb"), two) == "Vocals"
    assert stem_made_for("x", ("kick", "snare", "toms"), four) == "drums"
    assert stem_made_for("x", four, two) == "instrumental"
    assert stem_made_for("x", ("guitar", "no_guitar"), four) == "other"
    assert stem_made_for("x", ("instrumental", "bleed"), two) == "instrumental"
    assert stem_made_for("x", ("kick", "snare"), two) is None
    assert stem_made_for("x", ("vocals", "other"), two) is None


def test_steps_are_read():
    assert parse_steps("a") == [Step((Member("a"),))]
    assert parse_steps("a + b*2 [ lead vocals ] > c") == [
        Step((Member("a"), Member("b", 2.0)), None, "lead vocals"), Step((Member("c"),)),
    ]  # fmt: skip
    assert [member.model for member in parse_ensemble("a > b+c > d")] == ["a", "b", "c", "d"]
    for text in ("a >", "> a", "a > > b"):
        with pytest.raises(OptionError, match='expected models like "a > b"'):
            parse_steps(text)
    with pytest.raises(OptionError, match=r"\[vocals\] says what a next model gets"):
        parse_steps("a[vocals]")


def test_a_file_may_be_called_like_steps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a > b[c].json").touch()
    assert parse_steps("a > b[c].json") == [Step((Member("a > b[c].json"),))]


@pytest.fixture
def models(tmp_path, cache):
    paths = []
    for number, spec in enumerate((TOY, TOY_FOUR, dataclasses.replace(TOY, n_frames=128))):
        folder = tmp_path / str(number)
        folder.mkdir()
        paths.append(str(write_toy(folder, spec, seed=number)))
    return paths


def test_two_models_at_once_are_two_separations(models):
    two, four, _ = models
    mixture = noise(40_000)
    separator = Separator(f"{two} > {four}", threads=2)
    assert separator.stems == ("vocals", "accompaniment_vocals", "drums", "bass", "other")
    stems = separator.separate(mixture, 44100)
    first = Separator(two, threads=2).separate(mixture, 44100)
    second = Separator(four, threads=2).separate(first["accompaniment"], 44100)
    np.testing.assert_allclose(stems["vocals"], first["vocals"], atol=1e-6)
    np.testing.assert_allclose(stems["accompaniment_vocals"], second["vocals"], atol=1e-6)
    np.testing.assert_allclose(stems["other"], second["other"], atol=1e-6)
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
    with pytest.raises(OptionError, match="only a single model can separate live, not the pipeline"):
        separator.live()


def test_a_step_may_be_an_ensemble_and_steps_many(models):
    two, four, other = models
    separator = Separator(f"{two}+{other}[vocals] > {four}[bass] > {two}", threads=2, rule="max_fft")
    assert separator.stems == (
        "accompaniment", "vocals", "drums", "other", "bass_vocals", "bass_accompaniment",
    )  # fmt: skip
    stems = separator.separate(noise(20_000), 44100)
    assert {stem.shape for stem in stems.values()} == {(2, 20_000)}


def test_refusals_in_one_line(models):
    two, four, other = models
    with pytest.raises(OptionError, match=r"which stem of .* should .* separate further\? .*there are vocals, "):
        Separator(f"{two} > {other}")
    with pytest.raises(OptionError, match=r"expected a stem of .*\(vocals, accompaniment\), got kazoo"):
        Separator(f"{two}[kazoo] > {four}")
    with pytest.raises(OptionError, match="a rule is for an ensemble"):
        Separator(two, rule="max_fft")
    with pytest.raises(OptionError, match="expected rules for stems of vocals, accompaniment, got drums"):
        Separator(f"{two}+{other}", rule="drums=max_fft")
    with pytest.raises(OptionError, match=r"phase_fix takes two, .* got 3"):
        Separator(f"{two}+{other}+{four}", rule="vocals=phase_fix")
    with pytest.raises(OptionError, match="weights only count for avg_wave and avg_fft"):
        Separator(f"{two}*2+{other}", rule="max_fft")


def test_a_journal_tells_steps_from_ensembles(models):
    two, four, _ = models
    texts = [f"{two} + {four}", f"{two} > {four}", f"{two}[vocals] > {four}", f"{four} > {two}"]
    assert len({model_state(text) for text in texts}) == len(texts)
