"""Which files are taken for RoFormers, which are refused and why; and their sizes."""

import copy
import json
import math
import struct

import numpy as np
import pytest

from tests.families.roformer.cases import configuration, model
from unweave.errors import CheckpointError
from unweave.families.roformer.recognise import recognise
from unweave.families.roformer.spec import RoformerSpec
from unweave.models.checkpoints import read_tensors

BS = RoformerSpec("bs", "bs", ("vocals",), dim=16, depth=2, n_heads=2, head_width=8, ff_width=64, mask_widths=(16,))
MEL = RoformerSpec("mel", "mel", ("vocals",), dim=16, depth=2, n_heads=2, head_width=8, ff_width=64, mask_widths=(16,))
SETTINGS = configuration(model(num_stems=1), ["vocals", "other"], target="vocals")


def tensors(tmp_path, shapes):
    """A safetensors file with arrays of these shapes, all of which share the zeros that the file does not hold."""
    entries, position = {}, 0
    for name, shape in shapes.items():
        end = position + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, end]}
        position = end
    header = json.dumps(entries).encode()
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + position)
    return read_tensors(path).tensors


def changed(settings, section, **values):
    settings = copy.deepcopy(settings)
    for key, value in values.items():
        if value is None:
            settings[section].pop(key, None)
        else:
            settings[section][key] = value
    return settings


def test_both_kinds_are_told_by_their_weights(tmp_path):
    for spec in (BS, MEL):
        found = recognise(tensors(tmp_path, spec.shapes), SETTINGS, "x")
        assert (found.kind, found.stems, found.complement) == (spec.kind, ("vocals",), "other")
        assert found.shapes == spec.shapes


def test_other_networks_are_left_to_others(tmp_path):
    assert recognise(tensors(tmp_path, {"first_conv.weight": (3, 3)}), SETTINGS, "x") is None


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ("layers.0.0.layers.0.0.to_value_residual_mix.weight", "value residuals"),
        ("layers.0.0.layers.0.0.hyper_conn.static_alpha", "hyper-connections"),
        ("segm.encoder.0.conv.weight", "HyperACE"),
        ("layers.0.0.layers.0.0.pope_embed.bias", "PoPE"),
        ("linear_62_bias_0", "biases shared"),
        ("layers.0.0.layers.0.0.conv.net.2.conv.weight", "Conformer"),
        ("layers.0.0.layers.0.0.mamba.A_log", "Mamba"),
        ("layers.0.2.layers.0.0.to_qkv.weight", "linear attention"),
        ("layers.0.0.layers.0.0.temperature", r"unknown part \(layers\.0\.0\.layers\.0\.0\.temperature\)"),
        ("decoder.weight", r"unknown part \(decoder\.weight\)"),
    ],
)
def test_a_variant_is_refused_by_name(tmp_path, extra, what):
    with pytest.raises(CheckpointError, match=what):
        recognise(tensors(tmp_path, {**BS.shapes, extra: (3,)}), SETTINGS, "x")


def test_tables_that_old_files_store_do_no_harm(tmp_path):
    stored = {"freq_indices": (3958,), "freqs_per_band": (60, 1025), "num_freqs_per_band": (60,)}
    assert recognise(tensors(tmp_path, {**MEL.shapes, **stored}), SETTINGS, "x").kind == "mel"


@pytest.mark.parametrize(
    "name", ["final_norm.gamma", "layers.1.1.layers.0.1.net.4.bias", "band_split.to_features.61.0.gamma"]
)
def test_a_missing_array_is_named(tmp_path, name):
    shapes = {key: shape for key, shape in BS.shapes.items() if key != name}
    with pytest.raises(CheckpointError, match=r"without|impossible|unknown part"):
        recognise(tensors(tmp_path, shapes), SETTINGS, "x")


@pytest.mark.parametrize("name", ["layers.1.1.layers.0.0.to_qkv.weight", "mask_estimators.0.to_freqs.7.0.2.weight"])
def test_an_array_of_another_shape_is_named(tmp_path, name):
    with pytest.raises(CheckpointError, match=name):
        recognise(tensors(tmp_path, {**BS.shapes, name: (5, 5)}), SETTINGS, "x")


@pytest.mark.parametrize(
    "name",
    [
        "band_split.to_features.0.1.weight",
        "layers.0.0.layers.0.0.to_qkv.weight",
        "mask_estimators.0.to_freqs.0.0.0.weight",
    ],
)
def test_an_array_without_axes(tmp_path, name):
    with pytest.raises(CheckpointError, match="x looks like a RoFormer, but the shapes of its weights do not fit"):
        recognise(tensors(tmp_path, {**BS.shapes, name: ()}), SETTINGS, "x")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (None, "YAML file is needed"),
        ({"epoch": 3, "all_losses": {}}, "YAML file is needed"),
        (changed(SETTINGS, "model", dim=32), "says dim 32, its weights have 16"),
        (changed(SETTINGS, "model", depth=12), "says depth 12"),
        (changed(SETTINGS, "model", num_stems=2), "says num_stems 2"),
        (changed(SETTINGS, "model", heads=8), "says heads 8"),
        (changed(SETTINGS, "model", stft_n_fft=4096, stft_win_length=4096), "2049"),
        (changed(SETTINGS, "model", stft_win_length=1024), "window of another length"),
        # The original's window has 2048 samples where none is stated, whatever the transform has.
        (changed(SETTINGS, "model", stft_n_fft=4096, stft_win_length=None), "window of another length"),
        (changed(SETTINGS, "model", stereo=False), "mono"),
        (changed(SETTINGS, "model", stft_hop_length=0), "model.stft_hop_length"),
        (changed(SETTINGS, "model", stft_hop_length=2000), "do not fit"),
        (changed(SETTINGS, "model", zero_dc="yes"), "model.zero_dc"),
        (changed(SETTINGS, "audio", chunk_size=None), "inference.dim_t"),
        (changed(SETTINGS, "audio", chunk_size=1000), "do not fit"),
        (changed(SETTINGS, "audio", chunk_size=1.5), "audio.chunk_size"),
        (changed(SETTINGS, "inference", num_overlap=-1), "inference.num_overlap"),
        (changed(SETTINGS, "inference", num_overlap=4410), "overlapping"),
        (changed(SETTINGS, "training", instruments=None), "does not name its stems"),
        (changed(SETTINGS, "training", instruments=["../../evil", "vocals"]), "names a stem"),
        (changed(SETTINGS, "training", instruments=["vocals", "a/b"]), "names a stem"),
        (changed(SETTINGS, "training", instruments=["vocals", 3]), "names a stem"),
        (changed(SETTINGS, "training", instruments=["vocals", "Vocals"]), "twice"),
        (changed(SETTINGS, "training", target_instrument="bass"), "target 'bass'"),
        (changed(SETTINGS, "training", target_instrument=None), "1 mask estimators.*2 stems"),
        ({}, "stems"),
        ({**SETTINGS, "model": [1]}, "model.stft_hop_length"),
        (changed(SETTINGS, "model", stft_hop_length=None), "model.stft_hop_length"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tmp_path, settings, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        recognise(tensors(tmp_path, BS.shapes), settings, "x")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("target", ["", False])
def test_an_empty_target_is_none(tmp_path, target):
    settings = changed(SETTINGS, "training", instruments=["vocals"])
    settings["training"]["target_instrument"] = target
    spec = recognise(tensors(tmp_path, BS.shapes), settings, "x")
    assert (spec.stems, spec.complement) == (("vocals",), "")


def test_the_segment_may_be_given_in_frames(tmp_path):
    settings = changed(changed(SETTINGS, "audio", chunk_size=None), "inference", dim_t=801)
    assert recognise(tensors(tmp_path, BS.shapes), settings, "x").segment_samples == 352800


def test_bands_may_be_laid_out_for_another_rate_than_that_of_the_signals(tmp_path):
    shapes = tensors(tmp_path, MEL.shapes)
    for rates, bands_rate in (({"sample_rate": 44100}, 44100), ({}, 44100)):
        settings = changed(changed(SETTINGS, "model", **rates), "audio", sample_rate=48000)
        found = recognise(shapes, settings, "x")
        assert (found.sample_rate, found.bands_rate, found.bands) == (48000, bands_rate, MEL.bands)
    with pytest.raises(CheckpointError, match="has the shape"):
        recognise(shapes, changed(settings, "model", sample_rate=48000), "x")
    assert recognise(shapes, changed(SETTINGS, "model", sample_rate=44100), "x").bands_rate == 0
    assert recognise(tensors(tmp_path, BS.shapes), settings, "x").sample_rate == 48000


@pytest.mark.parametrize(
    ("instruments", "target", "complement"),
    [
        (["vocals", "other"], "vocals", "other"),
        (["Vocals"], "Vocals", "instrumental"),
        (["dry", "No dry"], "dry", "No dry"),
        (["drums", "bass", "other", "vocals"], "drums", "no_drums"),
    ],
)
def test_the_complement_has_the_name_that_is_left(tmp_path, instruments, target, complement):
    settings = changed(SETTINGS, "training", instruments=instruments, target_instrument=target)
    spec = recognise(tensors(tmp_path, BS.shapes), settings, "x")
    assert (spec.stems, spec.complement) == ((target,), complement)


def published(kind, dim, depth, n_stems=1, expansion=4, hidden=1, **more):
    return RoformerSpec(
        "x", kind, tuple(map(str, range(n_stems))), dim=dim, depth=depth, ff_width=4 * dim,
        mask_widths=(expansion * dim,) * hidden, **more,
    )  # fmt: skip


# Sizes of published files in bytes (catalogue of pymss 2.1.12): float32 each, and the pickle around them.
PUBLISHED = [
    ("model_bs_roformer_ep_317_sdr_12.9755", published("bs", 512, 12), 639331213),
    ("model_bs_roformer_ep_937_sdr_10.5309", published("bs", 384, 12), 393068365),
    ("BS-Roformer-Resurrection", published("bs", 256, 12), 204510749),
    ("bs_roformer_4stems_ft", published("bs", 384, 8, n_stems=4, expansion=2), 527245586),
    ("deverb_bs_roformer_8_384dim_10depth", published("bs", 384, 10), 361499604),
    ("Kim_MelBandRoformer", published("mel", 384, 6, hidden=2), 913106900),
    ("model_mel_band_roformer_ep_3005_sdr_11.4360", published("mel", 384, 12, hidden=2), 1007816988),
    ("melband_roformer_big_beta4", published("mel", 384, 12, hidden=3), 1574477088),
    ("mel_band_roformer_karaoke_becruily", published("mel", 384, 6, n_stems=2, hidden=2), 1719139254),
]


@pytest.mark.parametrize(("name", "spec", "n_bytes"), PUBLISHED, ids=[name for name, _, _ in PUBLISHED])
def test_the_sizes_of_published_files(name, spec, n_bytes):
    n_values = sum(math.prod(shape) for shape in spec.shapes.values())
    assert 4 * n_values <= n_bytes <= 1.003 * 4 * n_values
    assert np.isclose(spec.n_frames, 801)
