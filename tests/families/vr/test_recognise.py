"""Which files are taken for VR networks, where their parameters come from, and what is refused."""

import copy
import json
import math
import struct

import pytest

from tests.families.vr.cases import CASES, ONE, PUBLISHED, THREE
from tests.families.vr.test_vr import REFERENCE, shapes_of
from unweave.errors import CheckpointError
from unweave.families.uvr import checksum, stem_names
from unweave.families.vr import recognise
from unweave.families.vr.bands import joined_bands, stacked_bins
from unweave.families.vr.recognise import published
from unweave.models.checkpoints import read_tensors

SETTINGS = {**THREE, "primary_stem": "Instrumental"}


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


def found(tmp_path, settings=SETTINGS, shapes=None):
    return recognise(written(tmp_path / "a.safetensors", shapes or shapes_of("five")), settings, "x")


def changed(**values):
    settings = copy.deepcopy(SETTINGS)
    for key, value in values.items():
        place, _, inner = key.partition("__")
        if inner:
            settings["band"][place[-1]][inner] = value
        else:
            settings[key] = value
    return settings


@pytest.mark.parametrize(("version", "size", "spectrum", "width"), PUBLISHED)
def test_networks_of_published_sizes_are_recognised(tmp_path, version, size, spectrum, width):
    lines = (line.split(" ", 1) for line in REFERENCE[f"published/{size}"])
    shapes = {name: tuple(int(n) for n in shape.strip("(),").split(",") if n) for name, shape in lines}
    n_bytes = sum(4 * math.prod(shape) for shape in shapes.values())
    assert n_bytes / 1024 == pytest.approx(size, rel=0.02)  # pickles of 500 names take up to half a megabyte
    spec = found(tmp_path, {"vr_model_param": spectrum, "primary_stem": "Instrumental"}, shapes)
    assert spec.version == version
    assert spec.all_stems == ("instrumental", "vocals")
    unused = {name for name in shapes if name.startswith("aux") or name.endswith("tracked")}
    assert spec.shapes.keys() == shapes.keys() - unused


def test_the_table_of_published_files():
    table = published()
    assert len(table["rows"]) == 32
    for digest, row in table["rows"].items():
        assert len(digest) == 32
        assert row["spectrum"] in table["spectra"]
        stem, complement = stem_names(row["stem"])
        assert stem_names(complement)[1] == stem


def test_parameters_come_from_the_table_by_checksum(tmp_path, monkeypatch):
    tensors = written(tmp_path / "a.safetensors", shapes_of("five"))
    with pytest.raises(CheckpointError, match=r"not in the table.*primary_stem and vr_model_param"):
        recognise(tensors, None, "x")
    digest = checksum(tensors.path)
    monkeypatch.setitem(published()["rows"], digest, {"spectrum": "small", "stem": "No Echo"})
    monkeypatch.setitem(published()["spectra"], "small", THREE)
    spec = recognise(tensors, None, "x")
    assert (spec.n_bins, spec.all_stems, spec.sample_rate) == (128, ("no_echo", "echo"), 44100)
    assert recognise(tensors, {"primary_stem": "Vocals"}, "x").stems == ("vocals",)  # what is given wins
    table = {digest: {"vr_model_param": "small", "primary_stem": "Noise"}}
    assert recognise(tensors, table, "x").stems == ("noise",)


@pytest.mark.parametrize("spectrum", list(published()["spectra"]))
def test_published_bands_take_a_mixture_apart_and_join_it(spectrum):
    import numpy as np

    from tests.families.vr.cases import mixture
    from unweave.families.vr.recognise import _spec

    for version in ("5", "5.1"):
        spec = _spec(published()["spectra"][spectrum], version, "Vocals", "x")
        time = np.arange(40000) / spec.sample_rate
        low = np.sin(2 * np.pi * 300 * time) * np.ones((2, 1))
        samples = low.astype(np.float32) + 1e-3 * mixture(40000)
        joined = joined_bands(stacked_bins(samples, spec), spec)
        inside = slice(8000, 30000)
        if any(band.channels == "stereo_n" for band in spec.bands):
            continue  # is not undone entirely, in the reference either
        difference = joined[:, inside] - samples[:, inside]
        assert np.sqrt(np.mean(difference**2)) < 0.05


def test_other_networks_are_left_to_others(tmp_path):
    assert found(tmp_path, shapes={"stg1_low_band_net.enc1.weight": (3, 3)}) is None


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("five", "stg2_bridge.conv.0.weight"),
        ("five", "stg1_high_band_net.aspp.conv4.conv.2.running_var"),
        ("seven", "stg3_full_band_net.aspp.conv6.conv.1.weight"),
        ("new", "stg2_low_band_net.0.lstm_dec2.lstm.weight_hh_l0_reverse"),
        ("new", "out.weight"),
    ],
)
def test_a_missing_or_misshapen_array_is_named(tmp_path, case, name):
    settings = {**CASES[case][2], "primary_stem": "Vocals"}
    shapes = shapes_of(case)
    without = {key: shape for key, shape in shapes.items() if key != name}
    with pytest.raises(CheckpointError, match=f"without {name}"):
        found(tmp_path, settings, without)
    with pytest.raises(CheckpointError, match=f"{name} has the shape"):
        found(tmp_path, settings, {**shapes, name: (*shapes[name], 1)})


def test_an_unknown_part_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"unknown part \(attention\.weight\)"):
        found(tmp_path, shapes={**shapes_of("five"), "attention.weight": (3,)})


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (changed(primary_stem="../evil"), "name of a stem"),
        (changed(primary_stem=3), "name of a stem"),
        ({"primary_stem": "Vocals", "vr_model_param": "9band"}, "unknown bands '9band'; known are"),
        ({"primary_stem": "Vocals", "vr_model_param": 7}, "does not describe bands"),
        (changed(band={}), "bands called 1, 2"),
        (changed(band={"1": THREE["band"]["1"], "3": THREE["band"]["3"]}), "bands called 1, 2"),
        (changed(band={"1": 5}), "something else than settings"),
        (changed(bins=0), "as bins, got 0"),
        (changed(bins=100), "have more bins together|pre_filter"),
        (changed(bins=90, pre_filter_start=0), "more bins together"),
        (changed(bins=130), "even number|bins of"),
        (changed(pre_filter_start=-2), "pre_filter_start"),
        (changed(pre_filter_stop=110), "pre_filter_stop"),
        (changed(mid_side_b=True), "mid_side_b, which is not supported"),
        (changed(mid_side=True, reverse=True), "mid_side and reverse"),
        (changed(aggr_correction={"left": "x"}), "aggr_correction"),
        (changed(aggr_correction=[1]), "aggr_correction"),
        (changed(band1__hl=0), "as hl, got 0"),
        (changed(band1__hl=41), "do not lie at the same times"),
        (changed(band2__n_fft="128"), "n_fft"),
        (changed(band2__crop_stop=10), "crop_stop"),
        (changed(band2__crop_stop=90), "crop_stop"),
        (changed(band2__hpf_start=None), "hpf_start"),
        (changed(band2__hpf_stop=23), "ends before it begins"),
        (changed(band3__hpf_start=200), "hpf_start"),
        (changed(band1__lpf_stop=10), "lpf_stop"),
        (changed(band1__convert_channels="swap"), "'swap', which is not supported"),
        (changed(band3__sr=True), "as sr"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tmp_path, settings, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        found(tmp_path, settings)
    assert str(caught.value).isprintable()


def test_bands_of_one_are_enough(tmp_path):
    spec = found(tmp_path, {**ONE, "primary_stem": "Vocals"}, shapes_of("reverse"))
    assert (len(spec.bands), spec.sample_rate) == (1, 32000)
