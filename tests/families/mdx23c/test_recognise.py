"""Which files are taken for MDX23Cs, which are refused and why; and their sizes."""

import math

import pytest

from tests.families.checkpoint_files import changed, tensors_of
from tests.families.mdx23c.cases import CASES
from unweave.errors import CheckpointError
from unweave.families.mdx23c import Spec, recognise

SETTINGS = CASES["two"]
SPEC = Spec("x", ("Vocals", "Instrumental"), n_channels=8, growth=4, n_scales=2, n_fft=512, hop_length=128, n_bins=256)


def test_other_networks_are_left_to_others(tmp_path):
    assert recognise(tensors_of(tmp_path, {"first_conv.weight": (8, 16, 1, 1)}), SETTINGS, "x") is None


def test_counters_of_a_batch_norm_do_no_harm(tmp_path):
    settings = changed(SETTINGS, "model", norm="BatchNorm")
    shapes = Spec(**{**vars(SPEC), "norm": "BatchNorm"}).shapes
    counter = {"bottleneck_block.blocks.0.tfc1.0.num_batches_tracked": ()}
    assert recognise(tensors_of(tmp_path, {**shapes, **counter}), settings, "x").norm == "BatchNorm"


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (None, "YAML file is needed"),
        (changed(SETTINGS, "model", norm="LayerNorm"), "norm 'LayerNorm'"),
        (changed(SETTINGS, "model", norm="GroupNorm3"), "GroupNorm3"),
        (changed(SETTINGS, "model", act="swish"), "activation 'swish'"),
        (changed(SETTINGS, "model", act="elu"), "activation 'elu'"),
        (changed(SETTINGS, "model", num_subbands=8), "Hartley"),
        (changed(SETTINGS, "model", growth=8), "says growth 8"),
        (changed(SETTINGS, "model", num_scales=5), "says num_scales 5"),
        (changed(SETTINGS, "model", scale=[2]), "model.scale"),
        (changed(SETTINGS, "model", bottleneck_factor=0), "model.bottleneck_factor"),
        (changed(SETTINGS, "model", bottleneck_factor=2), "has the shape"),
        (changed(SETTINGS, "model", bottleneck_factor=32), "no bins to its lowest level"),
        (changed(SETTINGS, "audio", num_channels=1), "1 channels"),
        (changed(SETTINGS, "audio", dim_f=512), "do not fit"),
        (changed(SETTINGS, "audio", dim_f=250), "fewer"),
        (changed(SETTINGS, "audio", chunk_size=4000), "do not fit"),
        (changed(SETTINGS, "audio", chunk_size=4096), "33 frames"),
        (changed(SETTINGS, "inference", num_overlap=3000), "overlapping"),
        (changed(SETTINGS, "training", instruments=["a", "b", "c"]), "2 outputs.*3 stems"),
        (changed(SETTINGS, "training", target_instrument="Vocals"), "target 'Vocals'"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tmp_path, settings, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        recognise(tensors_of(tmp_path, SPEC.shapes), settings, "x")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["final_conv.0.weight", "bottleneck_block.blocks.1.tdf.3.bias"])
def test_a_missing_array_is_named(tmp_path, name):
    shapes = {key: shape for key, shape in SPEC.shapes.items() if key != name}
    with pytest.raises(CheckpointError, match=name):
        recognise(tensors_of(tmp_path, shapes), SETTINGS, "x")


def test_flat_arrays_are_refused_in_words(tmp_path):
    flat = {name: (math.prod(shape),) for name, shape in SPEC.shapes.items()}
    with pytest.raises(CheckpointError, match="the shapes of its weights do not fit"):
        recognise(tensors_of(tmp_path, flat), SETTINGS, "x")


def test_an_unknown_part_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"unknown part \(attention\.weight\)"):
        recognise(tensors_of(tmp_path, {**SPEC.shapes, "attention.weight": (3,)}), SETTINGS, "x")


D1581 = {"growth": 64, "n_fft": 12288, "hop_length": 2048, "n_bins": 4096, "segment_samples": 260096}
DRUMS = {"n_fft": 2048, "hop_length": 512, "n_bins": 1024}
# Sizes of published files in bytes (catalogue of pymss 2.1.12): float32 each, and the pickle around them.
PUBLISHED = [
    ("MDX23C-8KFFT-InstVoc_HQ", 2, {}, 448101203),
    ("MDX23C-De-Reverb-aufr33-jarredou", 2, {}, 448098867),
    ("MDX23C-DrumSep-aufr33-jarredou", 6, DRUMS, 437652699),
    ("MDX23C_D1581", 2, D1581, 183379219),
]


@pytest.mark.parametrize(("name", "n_stems", "given", "n_bytes"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_the_sizes_of_published_files(name, n_stems, given, n_bytes):
    spec = Spec(name, tuple(map(str, range(n_stems))), **given)
    n_values = sum(math.prod(shape) for shape in spec.shapes.values())
    assert 4 * n_values <= n_bytes <= 1.002 * 4 * n_values
