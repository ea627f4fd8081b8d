"""Which files are taken for SCNets, which are refused and why; and their sizes."""

import math

import pytest

from tests.families.checkpoint_files import changed, tensors_of
from tests.families.scnet.cases import CASES
from unweave.errors import CheckpointError
from unweave.families.scnet import Spec, recognise

SETTINGS = CASES["small"]
SPEC = Spec(
    "x", ("drums", "bass", "other", "vocals"), dims=(4, 8, 12, 16), hidden_widths=(2, 3, 4), n_layers=4, n_fft=1024
)


def test_other_networks_are_left_to_others(tmp_path):
    assert recognise(tensors_of(tmp_path, {"first_conv.weight": (3, 3)}), SETTINGS, "x") is None


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ("first_conv.weight", "SCNet Tran"),
        ("separation_net.dp_modules.0.time_layer.layers.0.0.to_qkv.weight", "transformers"),
        ("sd_blocks.0.sd_layers.0.downsample.conv.weight", "unofficial"),
        ("separation_net.dp_modules.0.mamba.A_log", "Mamba"),
        ("refiner.weight", r"unknown part \(refiner\.weight\)"),
        ("encoder.0.conv_modules.0.layers.0.1.scale", "unknown part"),
    ],
)
def test_a_variant_is_refused_by_name(tmp_path, extra, what):
    with pytest.raises(CheckpointError, match=what):
        recognise(tensors_of(tmp_path, {**SPEC.shapes, extra: (3,)}), SETTINGS, "x")


@pytest.mark.parametrize(
    "name",
    ["encoder.1.globalconv.bias", "decoder.2.1.convtrs.0.weight", "separation_net.dp_modules.3.norm_layers.1.bias"],
)
def test_a_missing_array_is_named(tmp_path, name):
    shapes = {key: shape for key, shape in SPEC.shapes.items() if key != name}
    with pytest.raises(CheckpointError, match=name):
        recognise(tensors_of(tmp_path, shapes), SETTINGS, "x")


def test_an_array_of_another_shape_is_named(tmp_path):
    name = "encoder.1.conv_modules.0.layers.1.1.weight"
    with pytest.raises(CheckpointError, match=name):
        recognise(tensors_of(tmp_path, {**SPEC.shapes, name: (5, 5)}), SETTINGS, "x")


def test_flat_arrays_are_refused_in_words(tmp_path):
    flat = {name: (math.prod(shape),) for name, shape in SPEC.shapes.items()}
    with pytest.raises(CheckpointError, match="the shapes of its weights do not fit"):
        recognise(tensors_of(tmp_path, flat), SETTINGS, "x")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (None, "YAML file is needed"),
        (changed(SETTINGS, "model", dims=[4, 32, 64, 128]), "says dims"),
        (changed(SETTINGS, "model", band_kernel=[3, 4, 4]), "says band_kernel"),
        (changed(SETTINGS, "model", num_dplayer=6), "says num_dplayer 6"),
        (changed(SETTINGS, "model", expand=2), "says expand 2"),
        (changed(SETTINGS, "model", win_size=512), "window of another length"),
        (changed(SETTINGS, "model", win_size=None), "window of another length"),  # of 4096 samples
        (changed(SETTINGS, "model", audio_channels=1), "1 channels"),
        (changed(SETTINGS, "model", hop_size=0), "model.hop_size"),
        (changed(SETTINGS, "model", hop_size=1000), "do not fit"),
        (changed(SETTINGS, "model", normalized="yes"), "model.normalized"),
        (changed(SETTINGS, "model", band_SR=[0.1, 0.2]), "model.band_SR"),
        (changed(SETTINGS, "model", band_SR=[0.1, float("nan"), 0.2]), "model.band_SR"),
        (changed(SETTINGS, "model", band_SR=[0.9, 0.9, 0.1]), "impossible bands"),
        (changed(SETTINGS, "model", band_stride=[1, 4, 0]), "model.band_stride"),
        (changed(SETTINGS, "model", band_stride=[1, 4, 64]), "impossible bands"),
        (changed(SETTINGS, "audio", chunk_size=None), "inference.dim_t"),
        (changed(SETTINGS, "audio", chunk_size=1000), "do not fit"),
        (changed(SETTINGS, "inference", num_overlap=-1), "inference.num_overlap"),
        (changed(SETTINGS, "inference", num_overlap=6000), "overlapping"),
        (changed(SETTINGS, "training", instruments=["../../evil", "a", "b", "c"]), "names a stem"),
        (changed(SETTINGS, "training", instruments=["vocals", "other"]), "4 stems.*2 stems"),
        (changed(SETTINGS, "training", target_instrument="vocals"), "target 'vocals'"),
        ({}, "stems"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tmp_path, settings, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        recognise(tensors_of(tmp_path, SPEC.shapes), settings, "x")
    assert str(caught.value).isprintable()


LARGE = {"dims": (4, 64, 128, 256), "hidden_widths": (16, 32, 64)}
XL_IHF = {"n_layers": 8, "conv_depths": (3, 3, 3), "band_strides": (1, 4, 4), "band_kernels": (3, 4, 4)}
# Sizes of published files in bytes (catalogue of pymss 2.1.12): float32 each, and the pickle around them.
PUBLISHED = [
    ("scnet_checkpoint_musdb18", 4, {}, 42434986),
    ("model_scnet_ep_30_sdr_15.1291", 1, {}, 42422170),
    ("SCNet-large_starrytong_fixed", 4, {**LARGE, "band_shares": (0.225, 0.372, 0.403)}, 168852258),
    ("model_scnet_ep_54_sdr_9.8051", 4, {**LARGE, "n_layers": 8, "band_shares": (0.23, 0.37, 0.4)}, 216189106),
    ("model_scnet_ep_36_sdr_10.0891", 4, {**LARGE, **XL_IHF, "band_shares": (0.23, 0.37, 0.4)}, 214063778),
]


@pytest.mark.parametrize(("name", "n_stems", "given", "n_bytes"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_the_sizes_of_published_files(name, n_stems, given, n_bytes):
    spec = Spec(name, tuple(map(str, range(n_stems))), **{"hidden_widths": (8, 16, 32), **given})
    n_values = sum(math.prod(shape) for shape in spec.shapes.values())
    assert 4 * n_values <= n_bytes <= 1.0035 * 4 * n_values
    assert spec.n_frames == 476
