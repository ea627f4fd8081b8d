import pytest

from tests.helpers.toys import TOY, write_toy
from unweave import ConsentError, Separator, UnknownModelError
from unweave.dsp.combining import RULES
from unweave.families.add import add_model
from unweave.separation.ensemble import parse_steps
from unweave.separation.model_state import model_state
from unweave.separation.presets import Preset, presets

NAMES = (
    "instrumental_clean", "instrumental_full", "instrumental_balanced", "instrumental_low_resource", "vocal_balanced",
    "vocal_clean", "vocal_full", "vocal_rvc", "karaoke",
)  # fmt: skip


def test_the_ensembles_that_people_know():
    assert tuple(presets()) == NAMES
    for preset in presets().values():
        assert preset.rule in RULES
        assert len(preset.models) in (2, 3)
        assert preset.summary


def test_what_is_missing_is_named(cache):
    preset = Preset("loud", ("nobody_knows_this.ckpt", "UVR-MDX-NET-Inst_HQ_5.onnx", "nor_this.ckpt"), "max_fft", "")
    with pytest.raises(UnknownModelError) as caught:
        preset.found_models()
    message = str(caught.value)
    assert "\n" not in message
    assert "not here: nobody_knows_this.ckpt and nor_this.ckpt." in message
    assert "unweave models add nobody_knows_this FILE" in message


@pytest.mark.parametrize("name", NAMES)
def test_the_list_of_models_knows_their_files(cache, name):
    assert len(presets()[name].found_models()) == len(presets()[name].models)


def test_nothing_is_fetched_without_consent(cache):
    with pytest.raises(ConsentError, match="bs-revive3e"):
        Separator("vocal_full")


@pytest.fixture
def added(tmp_path, cache):
    """Toys under the names of the models of vocal_clean."""
    for seed, model in enumerate(presets()["vocal_clean"].models):
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = write_toy(folder, TOY, seed=seed)
        add_model(model.removesuffix(".ckpt"), folder / "weights", path)


def test_an_ensemble_by_name(added):
    (step,) = parse_steps("vocal_clean")
    assert [member.model for member in step.members] == [
        "bs_roformer_vocals_revive_v2_unwa", "mel_band_roformer_kim_ft2_bleedless_unwa",
    ]  # fmt: skip
    assert step.rule == "min_fft"
    separator = Separator("vocal_clean", threads=2)
    assert separator.stems == TOY.stems
    (first, second) = step.members
    assert model_state("vocal_clean") != model_state(f"{first.model}+{second.model}")
    # As one step of several it keeps its rule.
    assert [step.rule for step in parse_steps("vocal_clean[vocals] > x")] == ["min_fft", None]


def test_a_model_of_the_same_name_comes_first(added, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    add_model("vocal_clean", folder / "weights", write_toy(folder, TOY, seed=5))
    assert [member.model for member in parse_steps("vocal_clean")[0].members] == ["vocal_clean"]
