"""What a checkpoint is, from its tensors' shapes and from what is said about them."""

import dataclasses
import json
from fractions import Fraction

import pytest

from tests.families.hdemucs.small import SPECS
from tests.families.htdemucs.test_recognise import Shaped, tensors
from tests.families.htdemucs.test_recognise import package as other_package
from unweave.errors import CheckpointError
from unweave.families import hdemucs, htdemucs
from unweave.families.hdemucs.recognise import DERIVED, FREE, recognise
from unweave.families.hdemucs.spec import HDemucsSpec

PUBLISHED = HDemucsSpec()
DRUMS = dataclasses.replace(PUBLISHED, stems=("kick", "snare", "cymbals", "toms"), segment_samples=40 * 44100)
NOT_SAID = ("stems", "sample_rate", "segment_samples", "n_fft", "zero_borders", "audio_channels")


def package(spec, **changes):
    """What Demucs saves beside the weights."""
    kwargs = {name: getattr(spec, name) for name in (*FREE, *DERIVED)}
    kwargs |= {
        "nfft": spec.n_fft,
        "samplerate": spec.sample_rate,
        "audio_channels": spec.audio_channels,
        "segment": Fraction(spec.segment_samples, spec.sample_rate),
        "hybrid_old": spec.zero_borders,
        "cac": True,
        "hybrid": True,
        "multi_freqs": [],
        "multi_freqs_depth": 3,
        "wiener_iters": 0,
        "end_iters": 0,
        "dconv_init": 1e-3,
        "rescale": 0.1,
    }
    return {"klass": "demucs.hdemucs.HDemucs", "args": (list(spec.stems),), "kwargs": {**kwargs, **changes}}


def test_parameters_are_those_of_the_published_file():
    assert PUBLISHED.n_parameters == 83_637_832
    assert len(PUBLISHED.shapes()) == 395
    # 75fc33f5-1941ce65.th: half precision, with names, shapes and what an archive says about each of its files.
    assert 0 < 167_407_275 - 2 * PUBLISHED.n_parameters < 400 * len(PUBLISHED.shapes())


def test_every_field_of_a_description_is_asked_for():
    assert {field.name for field in dataclasses.fields(HDemucsSpec)} == {*NOT_SAID, *FREE, *DERIVED}


def test_published_weights_are_known_without_a_configuration():
    assert recognise(tensors(PUBLISHED)) == PUBLISHED


@pytest.mark.parametrize("name", SPECS)
def test_a_package_of_demucs(name):
    spec = SPECS[name]
    assert recognise(tensors(spec), package(spec)) == spec


def test_a_package_that_relies_on_the_originals_defaults():
    told = {"klass": "HDemucs", "args": [list(DRUMS.stems)], "kwargs": {}}
    assert recognise(tensors(DRUMS), told, "model_drumsep.th") == DRUMS


def test_a_safetensors_file_of_demucs():
    spec = SPECS["odd"]
    told = package(spec, segment={"_type": "fraction", "numerator": 3333, "denominator": 16000})
    as_text = {name: value if name == "klass" else json.dumps(value) for name, value in told.items()}
    assert recognise(tensors(spec), as_text) == spec


def test_a_configuration_of_the_training_repository():
    configuration = {
        "model": "hdemucs",
        "training": {"instruments": list(DRUMS.stems), "channels": 2, "samplerate": 44100, "segment": 40},
        "hdemucs": {"channels": 48, "depth": 6, "hybrid": True, "hybrid_old": False, "nfft": 4096},
    }
    assert recognise(tensors(DRUMS), configuration) == DRUMS


@pytest.mark.parametrize(
    ("name", "bag", "seconds"),
    [
        ("75fc33f5-1941ce65.th", {}, 44),
        ("cfa93e08.safetensors", {}, 44),
        ("mine.th", {}, 10),
        ("mine.th", {"models": ["mine"], "segment": 44}, 44),
        ("75fc33f5-1941ce65.th", {"models": ["75fc33f5"], "segment": 20}, 20),
        ("mine.th", {"models": ["mine"]}, 10),
    ],
)
def test_a_bag_says_how_long_segments_are(name, bag, seconds):
    found = recognise(tensors(PUBLISHED), {**package(PUBLISHED, segment=10), **bag}, name)
    assert found.segment_samples == seconds * 44100


def test_other_families_are_left_alone():
    assert recognise({"stft.window": Shaped((4096,))}) is None
    other = htdemucs.Spec()
    assert recognise(tensors(other)) is None
    assert recognise(tensors(PUBLISHED), {**package(PUBLISHED), "klass": "demucs.htdemucs.HTDemucs"}) is None
    assert htdemucs.recognise(tensors(PUBLISHED), package(PUBLISHED), "x") is None
    assert htdemucs.recognise(tensors(PUBLISHED), None, "x") is None
    assert hdemucs.recognise(tensors(other), other_package(other), "x") is None


def test_what_is_said_of_parts_that_are_not_there():
    spec = dataclasses.replace(SPECS["old"], dconv_mode=0, dconv_depth=0, dconv_attn=2, dconv_lstm=2)
    told = package(spec, dconv_depth=2, dconv_comp=8, dconv_attn=4, dconv_lstm=0, norm_starts=7, time_stride=4)
    assert recognise(tensors(spec), told) == spec


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cac": False}, "cac"),
        ({"hybrid": False}, "hybrid"),
        ({"rewrite": False}, "rewrite"),
        ({"wiener_iters": 1}, "wiener_iters"),
        ({"multi_freqs": [0.25]}, "multi_freqs"),
        ({"mamba": True}, "mamba"),
        ({"channels": 64}, "channels"),
        ({"channels_time": 64}, "channels_time"),
        ({"growth": 1.5}, "growth"),
        ({"depth": 5}, "depth"),
        ({"time_stride": 4}, "time_stride"),
        ({"norm_starts": 5}, "norm_starts"),
        ({"dconv_attn": 3}, "dconv_attn"),
        ({"dconv_lstm": 9}, "dconv_lstm"),
        ({"dconv_depth": -2}, "dconv_depth"),
        ({"norm_groups": 0}, "norm_groups"),
        ({"norm_groups": 5}, "norm_groups"),
        ({"norm_groups": 4.0}, "norm_groups"),
        ({"freq_emb": float("nan")}, "freq_emb"),
        ({"emb_scale": "ten"}, "emb_scale"),
        ({"nfft": 2048}, "nfft"),
        ({"segment": 100}, "segment"),
        ({"segment": "long"}, "segment"),
        ({"samplerate": 0}, "samplerate"),
        ({"audio_channels": 1}, "2 channels"),
        ({"sources": ["drums", "bass"]}, "stems"),
    ],
)
def test_what_cannot_be_computed_is_named(changes, named):
    told = package(PUBLISHED, **changes)
    if "sources" in changes:
        told["args"] = ()
    with pytest.raises(CheckpointError, match=named) as caught:
        recognise(tensors(PUBLISHED), told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"encoder.0.norm1.weight": (48,)}, r"encoder\.\d\.norm"),
        ({"encoder.4.dconv.layers.0.3.linear.bias": None}, r"encoder\.4\.dconv\.layers\.0\.3\.linear\.bias"),
        ({"encoder.5.dconv.layers.1.4.proj.weight": (384, 380, 1)}, r"encoder\.5\.dconv\.layers\.1\.4\.proj"),
        ({"encoder.0.conv.weight": (48, 4, 6, 1)}, "."),
        ({"encoder.0.conv.weight": (0, 4, 8, 1)}, "."),
        ({"encoder.0.conv.weight": (48, 4, 0, 1)}, "."),
        ({"encoder.5.conv.weight": (1536, 768, 2)}, "time_stride"),
        ({"freq_emb.embedding.weight": (128, 48)}, "layers"),
        ({"decoder.5.conv_tr.bias": None}, r"decoder\.5\.conv_tr\.bias"),
        ({"segm.0.weight": (3,)}, r"segm\.0\.weight"),
        ({"encoder.6.conv.weight": (3, 3, 4)}, "."),
    ],
)
def test_weights_of_an_unknown_kind_are_refused(changes, named):
    with pytest.raises(CheckpointError, match=named) as caught:
        recognise(tensors(PUBLISHED, **changes))
    assert "\n" not in str(caught.value)


def test_heads_must_share_the_channels():
    spec = dataclasses.replace(SPECS["four"], channels=4, channels_time=4, norm_groups=2)
    with pytest.raises(CheckpointError, match="2 channels cannot be shared by 4 heads"):
        recognise(tensors(spec), package(spec))


def test_the_names_of_other_stems_must_be_told():
    spec = dataclasses.replace(PUBLISHED, stems=("vocals", "other"))
    with pytest.raises(CheckpointError, match="2 stems"):
        recognise(tensors(spec))
