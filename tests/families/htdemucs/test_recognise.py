"""What a checkpoint is, from its tensors' shapes and from what is said about them."""

import dataclasses
import json
from fractions import Fraction

import numpy as np
import pytest

from tests.families.htdemucs.small import SPECS
from unweave.errors import CheckpointError
from unweave.families.htdemucs.bag import Bag, read_bag
from unweave.families.htdemucs.recognise import recognise
from unweave.families.htdemucs.spec import HTDemucsSpec

PUBLISHED = HTDemucsSpec()
SIX = dataclasses.replace(PUBLISHED, stems=(*PUBLISHED.stems, "guitar", "piano"), bottom_channels=0)
# Bytes of the published files, which are of half precision: safetensors of Demucs 4.1.
SIZES = {"htdemucs": (PUBLISHED, 84_023_856), "htdemucs_6s": (SIX, 54_884_136)}


class Shaped:
    """A tensor of which only the shape may be asked for."""

    def __init__(self, shape):
        self.shape = shape


def tensors(spec, **changes):
    shapes = {**spec.shapes(), **changes}
    return {name: Shaped(shape) for name, shape in shapes.items() if shape}


def package(spec, **changes):
    """What Demucs saves beside the weights."""
    kwargs = {
        name: getattr(spec, name)
        for name in ("channels", "depth", "bottom_channels", "dconv_mode", "freq_emb", "t_layers", "t_heads")
    }
    kwargs |= {
        "nfft": spec.n_fft,
        "samplerate": spec.sample_rate,
        "audio_channels": spec.audio_channels,
        "segment": Fraction(spec.segment_samples, spec.sample_rate),
        "channels_time": None,
        "cac": True,
        "multi_freqs": [],
        "wiener_iters": 0,
        "t_dropout": 0.02,
        "t_sparse_self_attn": False,
        "rescale": 0.1,
    }
    return {"klass": "demucs.htdemucs.HTDemucs", "args": (list(spec.stems),), "kwargs": {**kwargs, **changes}}


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_those_of_the_published_files(name):
    spec, safetensors_bytes = SIZES[name]
    header = safetensors_bytes - 2 * spec.n_parameters
    assert 0 < header < 120 * len(spec.shapes())  # a name, a type, a shape and two offsets for each tensor


def test_parameters_are_those_of_the_published_graph():
    assert PUBLISHED.n_parameters == 41_984_456
    assert len(PUBLISHED.shapes()) == 533
    assert PUBLISHED.n_frames == 336
    assert PUBLISHED.time_lengths() == [343_980, 85_995, 21_499, 5375, 1344]


@pytest.mark.parametrize("spec", [PUBLISHED, SIX], ids=["htdemucs", "htdemucs_6s"])
def test_published_weights_are_known_without_a_configuration(spec):
    assert recognise(tensors(spec)) == spec


@pytest.mark.parametrize("name", ["four", "six"])
def test_a_package_of_demucs(name):
    spec = SPECS[name]
    assert recognise(tensors(spec), package(spec)) == spec


def test_everything_that_differs_is_noticed():
    spec = SPECS["odd"]
    told = package(spec, t_gelu=False, t_max_period=3000.0, t_weight_pos_embed=0.7, t_cross_first=True)
    assert recognise(tensors(spec), told) == spec


def test_a_safetensors_file_of_demucs():
    spec = SPECS["four"]
    told = package(spec, segment={"_type": "fraction", "numerator": 3000, "denominator": 44100})
    as_text = {name: value if name == "klass" else json.dumps(value) for name, value in told.items()}
    assert recognise(tensors(spec), as_text) == spec


def test_a_configuration_of_the_training_repository():
    spec = dataclasses.replace(PUBLISHED, stems=("vocals", "other"), segment_samples=11 * 44100)
    configuration = {
        "model": "htdemucs",
        "audio": {"chunk_size": 485100},
        "training": {"instruments": ["vocals", "other"], "channels": 2, "samplerate": 44100, "segment": 11},
        "htdemucs": {"channels": 48, "num_subbands": 1, "t_layers": 5, "nfft": 4096, "use_train_segment": False},
    }
    assert recognise(tensors(spec), configuration) == spec


@pytest.mark.parametrize(
    "names",
    [
        {"encoder.0.conv.weight": (4,)},
        {"stft.window": (4096,), "fc1.weight": (512, 2974)},
        {},
    ],
)
def test_other_families_are_left_alone(names):
    assert recognise({name: Shaped(shape) for name, shape in names.items()}) is None


def test_hybrid_demucs_without_a_transformer_is_another_family():
    no_norms = {"t_norm_in": False, "t_norm_out": False, "t_layer_scale": False}
    without = dataclasses.replace(PUBLISHED, t_layers=0, bottom_channels=0, **no_norms)
    assert recognise(tensors(without)) is None
    assert recognise(tensors(PUBLISHED), {**package(PUBLISHED), "klass": "demucs.hdemucs.HDemucs"}) is None
    assert recognise(tensors(without), package(without, t_layers=0, t_norm_in=True, t_hidden_scale=2.0)) == without


def test_without_residual_branches():
    spec = dataclasses.replace(PUBLISHED, dconv_mode=0, dconv_depth=0)
    assert recognise(tensors(spec), package(spec, dconv_depth=2, dconv_comp=4)) == spec


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cac": False}, "cac"),
        ({"wiener_iters": 1}, "wiener_iters"),
        ({"multi_freqs": [0.25]}, "multi_freqs"),
        ({"t_emb": "cape"}, "t_emb"),
        ({"t_sparse_self_attn": True}, "t_sparse_self_attn"),
        ({"t_norm_first": False}, "t_norm_first"),
        ({"num_subbands": 4}, "num_subbands"),
        ({"mamba": True}, "mamba"),
        ({"channels": 64}, "channels"),
        ({"nfft": 2048}, "nfft"),
        ({"t_heads": 7}, "t_heads"),
        ({"t_heads": 0}, "t_heads"),
        ({"t_heads": 8.0}, "t_heads"),
        ({"t_heads": [8]}, "t_heads"),
        ({"dconv_depth": -2}, "dconv_depth"),
        ({"freq_emb": float("inf")}, "freq_emb"),
        ({"t_heads": "eight"}, "t_heads"),
        ({"freq_emb": float("nan")}, "freq_emb"),
        ({"segment": float("nan")}, "segment"),
        ({"segment": float("inf")}, "segment"),
        ({"segment": -1}, "segment"),
        ({"segment": 1e9}, "segment"),
        ({"segment": {"numerator": 1, "denominator": 0}}, "segment"),
        ({"segment": [1]}, "segment"),
        ({"samplerate": 0}, "samplerate"),
        ({"samplerate": "44100"}, "samplerate"),
        ({"sources": ["drums", "bass"]}, "stems"),
        ({"sources": "drums"}, "stems"),
        ({"sources": ["drums", "drums", "bass", "other"]}, "stems"),
    ],
)
def test_what_cannot_be_computed_is_named(changes, named):
    told = package(PUBLISHED)
    if "sources" in changes:
        told["args"] = ()
    told["kwargs"].update(changes)
    with pytest.raises(CheckpointError, match=named) as caught:
        recognise(tensors(PUBLISHED), told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"encoder.0.norm1.weight": (48,)}, "encoder.0.norm1.weight"),
        ({"encoder.1.dconv.layers.0.6.scale": None}, "encoder.1.dconv.layers.0.6.scale"),
        ({"tdecoder.2.conv_tr.weight": (96, 48, 6)}, "tdecoder.2.conv_tr.weight"),
        ({"encoder.0.conv.weight": (48, 4, 6, 1)}, "."),
        ({"decoder.3.conv_tr.bias": None}, "decoder.3.conv_tr.bias"),
        ({"segm.0.weight": (3,)}, "segm.0.weight"),
        ({"encoder.0.conv.weight": (48,)}, "."),
        ({"encoder.0.conv.weight": (0, 4, 8, 1)}, "."),
    ],
)
def test_weights_of_an_unknown_kind_are_refused(changes, named):
    with pytest.raises(CheckpointError, match=named) as caught:
        recognise(tensors(PUBLISHED, **changes))
    assert "\n" not in str(caught.value)


def test_the_names_of_other_numbers_of_stems_must_be_told():
    spec = dataclasses.replace(PUBLISHED, stems=("vocals", "other"))
    with pytest.raises(CheckpointError, match="2 stems"):
        recognise(tensors(spec))


def test_arrays_serve_as_tensors():
    assert recognise({name: np.broadcast_to(np.float32(0), shape) for name, shape in PUBLISHED.shapes().items()})


def test_the_bag_of_fine_tuned_networks():
    rows = [[float(i == k) for k in range(4)] for i in range(4)]
    names = ["f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"]
    bag = read_bag({"models": names, "weights": rows})
    assert bag.members == tuple(names)
    assert bag.shares(4) == rows
    assert Bag(("a", "b")).shares(2) == [[0.5, 0.5], [0.5, 0.5]]
    assert Bag(("a", "b"), ((1.0, 3.0), (1.0, 1.0))).shares(2) == [[0.5, 0.75], [0.5, 0.25]]
    assert read_bag({"training": {}}) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"models": []},
        {"models": [1, 2]},
        {"models": ["a"], "weights": [[1, 0], [0, 1]]},
        {"models": ["a"], "weights": [[-1.0]]},
        {"models": ["a"], "weights": [[float("nan")]]},
        {"models": ["a"], "weights": ["1"]},
        {"models": ["a"], "weights": 1.0},
        {"models": ["a"] * 1000},
    ],
)
def test_bags_that_make_no_sense(settings):
    with pytest.raises(CheckpointError):
        read_bag(settings)


@pytest.mark.parametrize("weights", [((1.0,),), ((0.0, 0.0, 0.0, 0.0),)])
def test_bags_that_do_not_fit_their_networks(weights):
    with pytest.raises(CheckpointError):
        Bag(("a",), weights).shares(4)
