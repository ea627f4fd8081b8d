import dataclasses
import json
import time

import pytest

from tests.helpers.signals import noise
from tests.helpers.toys import TOY, TOY_FIVE, TOY_FOUR, edit_json, write_toy
from unweave import Separator
from unweave.errors import ModelError
from unweave.models.catalogue.official import specs
from unweave.models.spec import MaskModelSpec
from unweave.models.spleeter_json import parse_spleeter_json, read_parameters, write_spleeter_json

MASK_MODELS = [spec for spec in specs().values() if isinstance(spec, MaskModelSpec) and spec.is_classic]
# As the original ships it for four stems.
ORIGINAL = {
    "train_csv": "path/to/train.csv", "validation_csv": "path/to/test.csv", "model_dir": "4stems", "mix_name": "mix",
    "instrument_list": ["vocals", "drums", "bass", "other"], "sample_rate": 44100, "frame_length": 4096,
    "frame_step": 1024, "T": 512, "F": 1024, "n_channels": 2, "separation_exponent": 2, "mask_extension": "zeros",
    "learning_rate": 1e-4, "batch_size": 4, "training_cache": "training_cache", "validation_cache": "validation_cache",
    "train_max_steps": 1500000, "throttle_secs": 600, "random_seed": 3, "save_checkpoints_steps": 300,
    "save_summary_steps": 5,
    "model": {"type": "unet.unet", "params": {"conv_activation": "ELU", "deconv_activation": "ELU"}},
}  # fmt: skip


def test_the_originals_configuration_is_the_catalogues_model():
    spec, model_dir = parse_spleeter_json(ORIGINAL, "4stems")
    assert model_dir == "4stems"
    official = specs()["spleeter:4stems"]
    described = {"name", "weights", "licence", "notes", "summary"}
    for field in dataclasses.fields(spec):
        if field.name not in described:
            assert getattr(spec, field.name) == getattr(official, field.name), field.name


@pytest.mark.parametrize("spec", [TOY, TOY_FOUR, TOY_FIVE, *MASK_MODELS], ids=lambda spec: spec.name)
def test_written_and_read_again(spec):
    again, _ = parse_spleeter_json(json.loads(write_spleeter_json(spec, "somewhere")), spec.name)
    unstated = {"weights": spec.weights, "licence": spec.licence, "notes": spec.notes, "summary": spec.summary}
    assert dataclasses.replace(again, **unstated) == spec


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"instruments": ["a"]}, "instruments"),
        ({"model": {"type": "unet.unet", "params": {"filters": 3}}}, "model.params.filters"),
        ({"model": {"type": "transformer"}}, "model.type"),
        ({"instrument_list": []}, "instrument_list"),
        ({"instrument_list": ["a", "a"]}, "twice"),
        ({"F": 1000}, "F must be a multiple"),
        ({"F": 4096}, "F = 4096 contradicts frame_length"),
        ({"T": 100}, "T must be a multiple"),
        ({"frame_step": 1000}, "frame_step = 1000 contradicts"),
        ({"n_channels": 1}, "n_channels"),
        ({"mask_extension": "mirror"}, "mask_extension"),
        ({"separation_exponent": 0}, "separation_exponent"),
        ({"sample_rate": "44k"}, "sample_rate"),
        ({"model": {"params": {"conv_n_filters": [1, 2, 3]}}}, "conv_n_filters"),
        ({"model": {"params": {"output_mask_logit": 1}}}, "model.params.output_mask_logit"),
        ({"model": {"params": {"mask_logit": True}}}, "unknown key model.params.mask_logit"),
    ],
)
def test_bad_keys_are_named(change, named):
    with pytest.raises(ModelError, match=named):
        parse_spleeter_json({**ORIGINAL, **change}, "4stems")


@pytest.mark.parametrize("key", ["use_elu", "output_mask_logit"])
@pytest.mark.parametrize("flag", [False, True])
def test_flags_of_the_original(key, flag):
    spec, _ = parse_spleeter_json({**ORIGINAL, "model": {"type": "unet.unet", "params": {key: flag}}}, "mine")
    activations = ("elu", "elu") if key == "use_elu" and flag else ("leaky_relu", "relu")
    assert (spec.encoder_activation, spec.decoder_activation) == activations
    assert (spec.name, spec.summary) == ("mine", "from a configuration of Spleeter's")


@pytest.mark.parametrize("text", ["", "[]", "{", '"text"'])
def test_no_json(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ModelError, match=r"x\.json"):
        Separator(str(tmp_path / "x.json"))


@pytest.mark.parametrize(
    "spec",
    [
        TOY_FOUR,
        TOY_FIVE,
        dataclasses.replace(TOY, n_bins=128, mask_extension="average"),
        dataclasses.replace(TOY, n_fft=512, hop_length=128, n_frames=128, n_bins=192, sample_rate=16000),
        dataclasses.replace(TOY, mask_exponent=1.0, n_filters=(1, 2, 3, 4, 5, 6)),
        dataclasses.replace(TOY, stems=("one",)),
    ],
    ids=["four", "five softmax", "average", "other spectrum", "other exponent", "one stem"],
)
def test_any_configuration_separates(tmp_path, cache, spec):
    stems = Separator(str(write_toy(tmp_path, spec))).separate(noise(20_000), spec.sample_rate)
    assert tuple(stems) == spec.stems
    assert stems.n_samples == 20_000
    total = sum(stems.values())
    if spec.mask_extension == "average":  # all bins are masked, so that the stems sum to the mixture
        assert abs(total - noise(20_000)).max() < 1e-5


def test_model_dir_is_looked_for_as_the_original_does(tmp_path, cache, monkeypatch):
    path = edit_json(write_toy(tmp_path), model_dir="weights")
    assert Separator(str(path)).stems == TOY.stems
    monkeypatch.setenv("MODEL_PATH", str(tmp_path))
    path = path.rename(tmp_path.parent / f"{tmp_path.name}.json")
    assert Separator(str(path)).stems == TOY.stems


def test_the_wrong_number_of_stems_is_noticed(tmp_path, cache):
    path = write_toy(tmp_path, TOY_FOUR)
    with pytest.raises(ModelError, match="more stems"):
        Separator(str(edit_json(path, instrument_list=["a", "b"])))


def test_a_repeated_key_is_found_at_once(tmp_path):
    """Each key was compared with all others: a megabyte of them took minutes."""
    keys = [f"{number:05x}" for number in range(80_000)]
    path = tmp_path / "model.json"
    path.write_text("{" + "".join(f'"{key}":1,' for key in keys) + '"1387f":2}')
    started = time.process_time()
    with pytest.raises(ModelError, match="the key '1387f' is given twice"):
        read_parameters(path)
    assert time.process_time() - started < 5
