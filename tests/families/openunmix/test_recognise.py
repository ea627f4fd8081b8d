"""Which files are taken for Open-Unmix, which are refused and why; and their sizes."""

import json
import math
import struct

import numpy as np
import pytest
import safetensors.numpy

from unweave.errors import CheckpointError
from unweave.families.openunmix import OpenUnmixSpec, read_targets, recognise
from unweave.models.checkpoints import read_tensors

SPEC = OpenUnmixSpec("x", ("vocals",), n_input_bins=100, hidden_width=8, recurrent_width=4)
SHAPES = SPEC.network_shapes()


def written(path, shapes):
    """A safetensors file with arrays of these shapes, all of zeros that the file does not hold."""
    entries, position = {}, 0
    for name, shape in shapes.items():
        end = position + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, end]}
        position = end
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + position)
    return read_tensors(path).tensors


def found(tmp_path, shapes=SHAPES, settings=None, name="vocals.safetensors"):
    return recognise(written(tmp_path / name, shapes), settings, "x")


@pytest.mark.parametrize(("hidden", "megabytes"), [(512, 35.6), (1024, 113.0)])
def test_published_files_are_as_large_as_their_networks(hidden, megabytes):
    """umx and umxhq, and umxl."""
    spec = OpenUnmixSpec("x", ("vocals",), hidden_width=hidden, recurrent_width=hidden // 2)
    assert 4e-6 * sum(math.prod(shape) for shape in spec.shapes.values()) == pytest.approx(megabytes, rel=2e-3)


def test_the_published_networks_need_no_configuration(tmp_path):
    spec = found(tmp_path)
    assert (spec.n_fft, spec.hop_length, spec.sample_rate, spec.n_channels) == (4096, 1024, 44100, 2)
    assert (spec.stems, spec.complement) == (("vocals",), "instrumental")
    speech = OpenUnmixSpec("x", ("speech",), n_channels=1, n_fft=1024, n_input_bins=513, hidden_width=256)
    spec = found(tmp_path, speech.network_shapes(), name="speech_f5e0d9f9.safetensors")
    assert (spec.n_fft, spec.hop_length, spec.sample_rate, spec.n_channels) == (1024, 512, 16000, 1)
    assert spec.all_stems == ("speech", "noise")


def test_other_networks_are_left_to_others(tmp_path):
    assert found(tmp_path, {"fc1.weight": (3, 3), "fc2.weight": (3, 3)}) is None


def test_what_old_files_hold_besides_does_no_harm(tmp_path):
    extra = {"sample_rate": (), "stft.window": (4096,), "transform.0.window": (4096,), "bn1.num_batches_tracked": ()}
    assert found(tmp_path, {**SHAPES, **extra}).stems == ("vocals",)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    arrays["sample_rate"] = np.array([22050], np.int64)
    safetensors.numpy.save_file(arrays, tmp_path / "bass.safetensors")
    read = read_tensors(tmp_path / "bass.safetensors").tensors
    assert recognise(read, None, "x").sample_rate == 22050
    assert recognise(read, {"sample_rate": 8000.0}, "x").sample_rate == 8000


def test_a_whole_separator_is_several_networks(tmp_path):
    shapes = {f"target_models.{stem}.{name}": shape for stem in ("other", "vocals") for name, shape in SHAPES.items()}
    spec = found(tmp_path, {**shapes, "stft.window": (4096,), "sample_rate": ()}, name="all.safetensors")
    assert (spec.stems, spec.complement, spec.n_iterations) == (("vocals", "other"), "", 1)
    assert spec.prefixes == ("target_models.vocals.", "target_models.other.")
    assert spec.shapes == shapes


def test_the_files_of_all_stems_are_found_beside_one(tmp_path):
    for stem in ("other", "vocals", "drums", "bass"):
        written(tmp_path / f"{stem}-0a.safetensors", SHAPES)
    (tmp_path / "vocals.json").write_text("{}")
    (tmp_path / "otherwise.safetensors").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("vocals")
    for path in (tmp_path, tmp_path / "bass-0a.safetensors"):
        read = read_targets(path)
        assert recognise(read.tensors, read.configuration, "x").stems == ("vocals", "drums", "bass", "other")
    written(tmp_path / "vocals.safetensors", SHAPES)
    with pytest.raises(CheckpointError, match=r"both .*vocals.* are a network for vocals"):
        read_targets(tmp_path)


def test_a_folder_without_networks_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"no network called vocals\.pth, drums\.pth"):
        read_targets(tmp_path)


@pytest.mark.parametrize("name", ["lstm.weight_hh_l2_reverse", "bn2.running_var", "output_mean", "fc2.weight"])
def test_a_missing_array_is_named(tmp_path, name):
    with pytest.raises(CheckpointError, match=f"without {name}"):
        found(tmp_path, {key: shape for key, shape in SHAPES.items() if key != name})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lstm.weight_hh_l1", (16, 5)),
        ("bn3.bias", (7,)),
        ("fc1.weight", (8, 100)),
        ("fc3.weight", (4098,)),
        ("fc3.weight", (3 * 2049, 8)),
        ("input_mean", (2050,)),
        ("output_scale", (0,)),
    ],
)
def test_an_array_of_another_shape_is_refused(tmp_path, name, shape):
    with pytest.raises(CheckpointError, match=r"shape|channels"):
        found(tmp_path, {**SHAPES, name: shape})


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"nfft": 2048}, "says nfft 2048, its weights 4096"),
        ({"nb_channels": 1}, "says nb_channels 1"),
        ({"nhop": 0}, "nhop, got 0"),
        ({"nhop": 4000}, "nhop, got 4000"),
        ({"sample_rate": float("nan")}, "sample_rate"),
        ({"sample_rate": "44100"}, "sample_rate"),
        ({"niter": -1}, "niter"),
        ({"niter": 1000}, "niter"),
        ({"args": {"nhop": True}}, "nhop"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tmp_path, settings, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        found(tmp_path, SHAPES, settings)
    assert str(caught.value).isprintable()


def test_what_is_not_known_is_asked_for(tmp_path):
    unusual = OpenUnmixSpec("x", ("vocals",), n_fft=2048, n_input_bins=100, hidden_width=8, recurrent_width=4)
    with pytest.raises(CheckpointError, match="JSON file with nhop is needed"):
        found(tmp_path, unusual.network_shapes())
    assert found(tmp_path, unusual.network_shapes(), {"args": {"nhop": 512}}).hop_length == 512
    with pytest.raises(CheckpointError, match=r"not called after it: rename it to one of vocals\.pth"):
        found(tmp_path, name="model.safetensors")
    assert found(tmp_path, settings={"args": {"target": "choir"}}, name="model.safetensors").all_stems == (
        "choir",
        "no_choir",
    )
    for target in ("../evil", "", "a/b", 3, "x."):
        with pytest.raises(CheckpointError, match=r"names a stem|not called after it"):
            found(tmp_path, settings={"target": target}, name="model.safetensors")


def test_an_unknown_part_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"unknown part \(attention\.weight\)"):
        found(tmp_path, {**SHAPES, "attention.weight": (3,)})


def test_two_networks_for_one_stem_are_refused(tmp_path):
    shapes = {f"{part}.vocals.{name}": shape for part in "ab" for name, shape in SHAPES.items()}
    with pytest.raises(CheckpointError, match="two networks for one stem"):
        found(tmp_path, shapes)
