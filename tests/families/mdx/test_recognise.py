"""Which files are taken for MDX-Nets, where their parameters come from, and what is refused."""

import dataclasses
import hashlib
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.families.mdx.cases import Size, model
from unweave.errors import CheckpointError
from unweave.families.mdx import recognise, write_network
from unweave.families.mdx.parameters import Parameters, published
from unweave.families.uvr import HASHED_BYTES, checksum, stem_names
from unweave.models.checkpoints import read_tensors

SMALL = Size(512)
SETTINGS = {"mdx_n_fft_scale_set": 2048, "primary_stem": "Vocals", "compensate": 1.035}


def saved(tmp_path, made):
    path = tmp_path / "net.onnx"
    onnx.save_model(made, path)
    return read_tensors(path).tensors


def found(tmp_path, made=None, settings=SETTINGS):
    return recognise(saved(tmp_path, made or model(SMALL, 8)), settings, "x")


def test_parameters_come_from_the_table_by_checksum(tmp_path, monkeypatch):
    tensors = saved(tmp_path, model(SMALL, 8))
    with pytest.raises(CheckpointError, match=r"not in the table.*mdx_n_fft_scale_set, primary_stem"):
        recognise(tensors, None, "x")
    row = Parameters(n_fft=4096, stem="Drums", n_bins=512, n_frames=8, compensation=1.2)
    monkeypatch.setitem(published(), checksum(tensors.path), row)
    spec = recognise(tensors, None, "x")
    assert (spec.n_fft, spec.stems, spec.complement, spec.compensation) == (4096, ("drums",), "no_drums", 1.2)
    assert recognise(tensors, SETTINGS, "x").n_fft == 2048  # what is given wins


def test_uvrs_own_table_will_do_as_a_configuration(tmp_path):
    tensors = saved(tmp_path, model(SMALL, 8))
    table = {"0" * 32: {"mdx_n_fft_scale_set": 9}, checksum(tensors.path): SETTINGS}
    assert recognise(tensors, table, "x").n_fft == 2048


def test_the_table_of_published_files():
    table = published()
    assert len(table) == 44
    row = table["0ddfc0eb5792638ad5dc27850236c246"]
    assert (row.n_fft, row.n_bins, row.n_frames, row.compensation) == (6144, 2048, 256, 1.035)
    for digest, row in table.items():
        assert len(digest) == 32
        assert row.n_bins <= row.n_fft // 2 + 1
        assert 1024 * (row.n_frames - 1) > row.n_fft
        stem, complement = stem_names(row.stem)
        assert stem != complement
        assert stem_names(complement)[1] == stem


@pytest.mark.parametrize("n_bytes", [0, 100, HASHED_BYTES, HASHED_BYTES + 1, HASHED_BYTES + 12345])
def test_the_checksum_is_of_the_end_of_the_file(tmp_path, n_bytes):
    raw = np.random.RandomState(0).bytes(n_bytes)
    (tmp_path / "a").write_bytes(raw)
    assert checksum(tmp_path / "a") == hashlib.md5(raw[-HASHED_BYTES:]).hexdigest()


@pytest.mark.parametrize(
    ("primary", "names"),
    [
        ("Vocals", ("vocals", "instrumental")),
        ("Instrumental", ("instrumental", "vocals")),
        ("Other", ("other", "no_other")),
        ("Reverb", ("reverb", "no_reverb")),
        ("No Crowd", ("no_crowd", "crowd")),
        ("Lead Vocals", ("lead_vocals", "backing_vocals")),
        ("Backing Vocals", ("backing_vocals", "lead_vocals")),
    ],
)
def test_stems_have_the_fields_names(primary, names):
    assert stem_names(primary) == names


def test_shapes_that_the_file_leaves_open_come_from_the_parameters(tmp_path):
    made = model(SMALL, 8, shape=["n", 4, "f", "t"])
    with pytest.raises(CheckpointError, match="mdx_dim_f_set is needed"):
        found(tmp_path, made)
    spec = found(tmp_path, made, {**SETTINGS, "mdx_dim_f_set": 512, "mdx_dim_t_set": 4})
    assert (spec.n_bins, spec.n_frames) == (512, 16)
    assert found(tmp_path, made, {**SETTINGS, "mdx_dim_f_set": 512}).n_frames == 256
    # The graph was made for 8 frames, whatever else is written.
    assert found(tmp_path, None, {**SETTINGS, "mdx_dim_t_set": 9}).n_frames == 8


def test_weights_may_be_listed_among_the_inputs(tmp_path):
    made = model(SMALL, 8)
    for array in made.graph.initializer:
        made.graph.input.append(helper.make_tensor_value_info(array.name, array.data_type, array.dims))
    made.ir_version = 3  # before version 4 they had to be
    assert found(tmp_path, made).stems == ("vocals",)


def test_the_written_graph_has_fixed_shapes_and_the_same_weights(tmp_path):
    tensors = saved(tmp_path, model(SMALL, 8))
    spec = recognise(tensors, SETTINGS, "x")
    (tmp_path / "out").mkdir()
    write_network(spec, tensors, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["network.onnx"]
    written = onnx.load_model(tmp_path / "out" / "network.onnx")
    for entry in (written.graph.input[0], written.graph.output[0]):
        assert [size.dim_value for size in entry.type.tensor_type.shape.dim] == [1, 4, 512, 8]
    copied = read_tensors(tmp_path / "out" / "network.onnx").tensors
    assert {name: copied.shape(name) for name in copied} == spec.shapes
    for name in tensors:
        np.testing.assert_array_equal(copied[name], tensors[name])


def two_inputs():
    made = model(SMALL, 8)
    made.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    return made


@pytest.mark.parametrize(
    "made",
    [
        two_inputs(),
        model(SMALL, 8, shape=["n", 2, 512, 8]),
        model(SMALL, 8, shape=["n", 4, 512]),
        model(SMALL, 8, output_shape=["n", 16, 512, 8]),
    ],
)
def test_other_networks_are_left_to_others(tmp_path, made):
    assert found(tmp_path, made) is None


def test_other_files_are_left_to_others(tmp_path):
    import safetensors.numpy

    safetensors.numpy.save_file({"first_conv.0.weight": np.zeros((3, 4, 1, 1), np.float32)}, tmp_path / "a.safetensors")
    assert recognise(read_tensors(tmp_path / "a.safetensors").tensors, SETTINGS, "x") is None


def with_operator(kind, domain=""):
    made = model(SMALL, 8)
    made.graph.node[2].op_type = kind
    made.graph.node[2].domain = domain
    return made


def with_external_weights():
    made = model(SMALL, 8)
    array = made.graph.initializer[0]
    raw = array.raw_data
    array.ClearField("raw_data")
    array.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "net.onnx"), ("offset", "0"), ("length", str(len(raw)))):
        array.external_data.add(key=key, value=value)
    return made


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (with_operator("LSTM"), "operator LSTM"),
        (with_operator("Loop"), "operator Loop"),
        (with_operator("Relu", "com.evil"), "operator Relu"),
        (with_external_weights(), "another file"),
        (model(SMALL, 7), "does not take 512 bins and 7 frames|makes"),
        (model(SMALL, 2), "too short"),
        (model(SMALL, 8, shape=["n", 4, 400, 8]), "400 bins"),
    ],
)
def test_a_graph_that_cannot_be_computed_is_refused(tmp_path, made, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        found(tmp_path, made)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"mdx_n_fft_scale_set": 0}, "mdx_n_fft_scale_set, got 0"),
        ({"mdx_n_fft_scale_set": "2048"}, "whole number"),
        ({"mdx_n_fft_scale_set": True}, "whole number"),
        ({"mdx_n_fft_scale_set": 1 << 40}, "whole number"),
        ({"mdx_n_fft_scale_set": 1000}, "512 bins, which a window of 1000 samples does not have"),
        ({"mdx_n_fft_scale_set": 2049}, "does not have"),
        ({"mdx_n_fft_scale_set": 8192}, "too short"),
        ({"mdx_dim_f_set": 2048}, "takes 512 bins, its parameters say 2048"),
        ({"mdx_dim_t_set": 40}, "from 1 to 14"),
        ({"primary_stem": None}, "name of a stem"),
        ({"primary_stem": "../../evil"}, "name of a stem"),
        ({"primary_stem": " "}, "name of a stem"),
        ({"compensate": float("nan")}, "compensate"),
        ({"compensate": -1}, "compensate"),
        ({"compensate": "1"}, "compensate"),
        ({"denoise": 1}, "true or false"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(tmp_path, change, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        found(tmp_path, None, {**SETTINGS, **change})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("growth", "n_bins", "megabytes"), [(32, 2048, 29.7), (48, 2560, 59.1), (48, 3072, 66.7), (48, 2048, 52.8)]
)
def test_published_files_are_as_large_as_their_networks(growth, n_bins, megabytes):
    """KARA and kuielab's, Inst_HQ, Kim_Vocal and Voc_FT, VIP; so the networks of these tests are made as they are."""
    shapes = Size(n_bins, growth, n_levels=5, n_convs=3).shapes()
    assert 4e-6 * sum(np.prod(shape) for shape in shapes.values()) == pytest.approx(megabytes, rel=2e-3)


def test_the_configuration_may_lie_beside_the_file(tmp_path):
    tensors = saved(tmp_path, model(SMALL, 8))
    (tmp_path / "net.json").write_text(json.dumps(SETTINGS))
    assert recognise(tensors, read_tensors(tensors.path).configuration, "x").n_fft == 2048


def test_the_graph_is_kept_without_its_weights(tmp_path):
    tensors = saved(tmp_path, model(SMALL, 8))
    spec = recognise(tensors, SETTINGS, "x")
    assert len(spec.graph) < 4000 < 4 * tensors.n_values
    for damaged in ("", "%%%", spec.graph[:100], "AAAA"):
        with pytest.raises(CheckpointError, match=r"description of x is damaged|not an MDX-Net"):
            write_network(dataclasses.replace(spec, graph=damaged), tensors, tmp_path)
