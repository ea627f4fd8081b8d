"""Plans are checked before anything is computed."""

import dataclasses
import json

import pytest

from tests.helpers.band import changed, small_plan, write_tracks
from unweave import OptionError, UnweaveError
from unweave.models.spec import MaskModelSpec
from unweave.models.spleeter_json import read_spleeter_json
from unweave.training.plan import ModelPlan, read_plan
from unweave.training.spleeter_plan import spleeter_plan
from unweave.training.trainer import train

MINIMAL = '[[data.sources]]\npath = "music"\n'


def written(tmp_path, text):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    return path


def test_paths_start_at_the_plan(tmp_path):
    plan = read_plan(written(tmp_path, MINIMAL))
    assert plan.data.sources[0].path == tmp_path / "music"
    assert plan.data.cache == tmp_path / "cache"
    assert plan.output == tmp_path / "trained"
    started = read_plan(written(tmp_path, MINIMAL + 'root = "stems"\n[model]\nstart = "first/model.safetensors"\n'))
    assert started.data.sources[0].root == tmp_path / "stems"
    assert started.model.start == str(tmp_path / "first/model.safetensors")


def test_a_start_may_be_a_name(tmp_path):
    plan = read_plan(written(tmp_path, MINIMAL + '[model]\nstart = "spleeter:2stems"\n'))
    assert plan.model.start == "spleeter:2stems"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data: "),
        ("steps = [", "is not TOML"),
        (MINIMAL + "[training]\nstep = 4\n", "training.step"),
        (MINIMAL + "[training]\nsteps = 0\n", "training.steps"),
        (MINIMAL + '[model]\nnetwork = "lstm"\n', "model.network"),
        (MINIMAL + "[augmentation]\nremix = 1.5\n", "augmentation.remix"),
        (MINIMAL + "[loss]\nmagic = 1\n", "loss"),
        (MINIMAL + "[training]\nlearning_rate = nan\n", "training.learning_rate"),
        (MINIMAL + "[training]\nlearning_rate = inf\n", "training.learning_rate"),
        (MINIMAL + "[training]\nmax_minutes = inf\n", "training.max_minutes"),
        (MINIMAL + "[training]\nseed = -1\n", "training.seed"),
        (MINIMAL + f"[training]\nseed = {10**18}\n", "training.seed"),
        (MINIMAL + "[loss]\n", "loss: .*at least 1 item"),
        (MINIMAL + "[augmentation]\ngain_db = [0, inf]\n", "augmentation.gain_db"),
        (MINIMAL + "[augmentation]\nlevel_db = nan\n", "augmentation.level_db"),
        (MINIMAL + "[augmentation]\nsemitones = 300\n", "augmentation.semitones"),
        (MINIMAL + "[model]\nwidths = [-8, 16]\n", "model.widths"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(OptionError, match=message):
        read_plan(written(tmp_path, text))


def test_byte_order_marks_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(MINIMAL, encoding="utf-8-sig")
    assert read_plan(tmp_path / "plan.toml").data.sources
    configuration = spleeter_files(tmp_path)
    configuration.write_text(configuration.read_text(), encoding="utf-8-sig")
    assert spleeter_plan(configuration, tmp_path / "data").training.steps == 2


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({}, {}),
        ({"separation_exponent": 1, "mask_extension": "average"}, {}),
        ({}, {"conv_activation": "ReLU", "deconv_activation": "ELU"}),
        ({}, {"conv_activation": "ELU", "deconv_activation": "ReLU"}),
        ({}, {"use_elu": True}),
    ],
)
def test_what_is_trained_is_what_the_json_describes(tmp_path, monkeypatch, changes, parameters):
    monkeypatch.chdir(tmp_path)
    network = {"type": "unet.softmax_unet", "params": {**SPLEETER["model"]["params"], **parameters}}
    configuration = spleeter_files(tmp_path, model=network, **changes)
    trained = spleeter_plan(configuration, tmp_path / "data").model.to_spec("toy")
    described, _ = read_spleeter_json(configuration)
    assert dataclasses.replace(trained, summary="") == dataclasses.replace(described, summary="")


def test_a_missing_plan(tmp_path):
    with pytest.raises(OptionError, match="cannot read"):
        read_plan(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ModelPlan(n_bins=1000), "multiple of 256"),
        (ModelPlan(network="unets", n_bins=1000), "multiple of 64"),
        (ModelPlan(network="unets", widths=(8, 8)), "six widths"),
        (ModelPlan(hop_length=1000), "hop_length = 1000 contradicts n_fft"),
        (ModelPlan(n_bins=2304), "n_bins = 2304 contradicts n_fft = 4096"),
        (ModelPlan(n_frames=500), "n_frames must be a multiple of 16"),
    ],
)
def test_numbers_that_do_not_fit(model, message):
    with pytest.raises(UnweaveError, match=message):
        model.to_spec("x")


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("data", {"segment_frames": 33}, "segment_frames must be a multiple of 4 .*got 33"),
        ("data", {"segment_frames": 4}, "segment_frames = 4 is too few for the loss multi_resolution_stft"),
        ("augmentation", {"taken": {"vocal": 0.5}}, "augmentation.taken: vocal is none of the model's stems vocals"),
        ("augmentation", {"layers": {"Vocals": 2}}, "augmentation.layers: Vocals"),
        ("model", {"start": "unweave:4stems"}, "unweave:4stems cannot be trained further: .*piano"),
    ],
)
def test_a_plan_that_does_not_fit_its_model(tmp_path, section, values, message):
    """All that could only be found out by training is told before anything is decoded."""
    plan = dataclasses.replace(small_plan(tmp_path, tmp_path / "none"), loss={"multi_resolution_stft": 1.0})
    with pytest.raises(OptionError, match=message):
        train(changed(plan, section, **values))
    assert not plan.output.exists()


SPLEETER = {
    "mix_name": "mix",
    "instrument_list": ["vocals", "bass"],
    "sample_rate": 8000,
    "frame_length": 512,
    "frame_step": 128,
    "T": 64,
    "F": 64,
    "n_channels": 2,
    "train_csv": "train.csv",
    "validation_csv": "validation.csv",
    "model_dir": "toy_model",
    "batch_size": 2,
    "learning_rate": 1e-3,
    "train_max_steps": 2,
    "model": {"type": "unet.unet", "params": {"conv_n_filters": [2, 2, 2, 2, 2, 2]}},
}


def spleeter_files(tmp_path, **changes):
    write_tracks(tmp_path / "data", 2)
    for number, name in enumerate(("train", "validation")):
        (tmp_path / f"{name}.csv").write_text(
            "mix_path,vocals_path,bass_path,duration\n"
            f"song {number}/mix.wav,song {number}/vocals.wav,song {number}/bass.wav,8.0\n"
        )
    path = tmp_path / "toy.json"
    path.write_text(json.dumps({**SPLEETER, **changes}))
    return path


def test_the_original_configuration_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = spleeter_plan(spleeter_files(tmp_path), tmp_path / "data")
    assert plan.loss == {"magnitude_l1": 1.0}
    assert plan.training.frozen_norms
    assert plan.augmentation.remix == 0
    spec = plan.model.to_spec("toy")
    assert isinstance(spec, MaskModelSpec)
    assert spec.is_classic
    result = train(plan)
    assert result.is_finished
    assert (tmp_path / "toy_model" / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_csv": "none.csv"}, "none.csv"),
        ({"train_csv": None}, "names no train_csv"),
        ({"loss_type": "L7"}, "loss_type"),
        ({"optimizer": "Magic"}, "optimizer"),
        ({"optimizer": ["Adam"]}, "optimizer"),
        ({"loss_type": {}}, "loss_type"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": float("inf")}, "learning_rate"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": True}, "learning_rate"),
        ({"train_max_steps": 1.5}, "train_max_steps must be a whole number"),
        ({"train_max_steps": 10**400}, "train_max_steps"),
        ({"batch_size": [2]}, "batch_size"),
        ({"random_seed": -1}, "random_seed"),
        ({"save_checkpoints_steps": "often"}, "save_checkpoints_steps"),
        ({"training_cache": 7}, "training_cache"),
    ],
)
def test_the_original_configuration_gone_wrong(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnweaveError, match=message):
        spleeter_plan(spleeter_files(tmp_path, **changes), tmp_path / "data")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "is not JSON"),
        ('{"instrument_list": ["a", "b"], "batch_size": 1, "batch_size": 2}', "batch_size.*given twice"),
        ("\x00", "is not JSON"),
    ],
)
def test_a_configuration_is_read_as_the_other_commands_read_it(tmp_path, text, message):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UnweaveError, match=rf"c\.json.*{message}") as caught:
        spleeter_plan(tmp_path / "c.json", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_plan_that_nests_too_deeply(tmp_path):
    (tmp_path / "plan.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(OptionError, match="is not TOML"):
        read_plan(tmp_path / "plan.toml")
