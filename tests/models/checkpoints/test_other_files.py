"""safetensors, ONNX, and the YAML and JSON beside checkpoints."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy

from unweave.errors import CheckpointError
from unweave.models.checkpoints import read_configuration, read_tensors, write_safetensors
from unweave.models.checkpoints.read import is_checkpoint_name

RANDOM = np.random.default_rng(0)
ARRAYS = {
    **{
        f"a_{dtype}": (10 * RANDOM.standard_normal((3, 4))).astype(dtype)
        for dtype in ("f2", "f4", "f8", "i1", "i2", "i4", "i8")
    },
    **{f"a_{dtype}": np.array([0, 3, np.iinfo(dtype).max], dtype) for dtype in ("u1", "u2", "u4", "u8")},
    "flags": np.array([True, False, True]),
    "scalar": np.array(3.5, np.float32),
    "empty": np.zeros((0, 4), np.float32),
}
BFLOAT16 = np.array([1.5, -2.0, 0.0078125], np.float32)


def bfloat16_bits():
    return (BFLOAT16.view(np.uint32) >> 16).astype("<u2")


def same(tensors):
    assert sorted(tensors) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert tensors[name].dtype == array.dtype
        assert tensors.shape(name) == array.shape
        np.testing.assert_array_equal(tensors[name], array)


def test_safetensors(tmp_path):
    safetensors.numpy.save_file(ARRAYS, tmp_path / "a.safetensors")
    checkpoint = read_tensors(tmp_path / "a.safetensors")
    same(checkpoint.tensors)
    assert checkpoint.format == "safetensors"
    assert checkpoint.configuration is None


def test_the_metadata_of_demucs_safetensors(tmp_path):
    metadata = {
        "klass": "HTDemucs",
        "kwargs": '{"sources": ["drums"], "segment": {"_type": "Fraction", "numerator": 39, "denominator": 5}}',
        "broken": "{not JSON",
        "list": '[1, {"numerator": 3}]',
        "no_fraction": '{"numerator": 39, "denominator": 5}',
        "zero": '{"_type": "Fraction", "numerator": 39, "denominator": 0}',
        "text": '{"_type": "Fraction", "numerator": "39", "denominator": 5}',
        "number": "3",
    }
    safetensors.numpy.save_file(ARRAYS, tmp_path / "a.safetensors", metadata)
    assert read_tensors(tmp_path / "a.safetensors").configuration == {
        "klass": "HTDemucs",
        "kwargs": {"sources": ["drums"], "segment": Fraction(39, 5)},
        "broken": "{not JSON",
        "list": [1, {"numerator": 3}],
        "no_fraction": {"numerator": 39, "denominator": 5},
        "zero": {"_type": "Fraction", "numerator": 39, "denominator": 0},
        "text": {"_type": "Fraction", "numerator": "39", "denominator": 5},
        "number": "3",
    }


def test_bfloat16_comes_as_float32(tmp_path):
    header = b'{"w":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}'
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bfloat16_bits().tobytes())
    tensors = read_tensors(tmp_path / "a.safetensors").tensors
    assert tensors.dtype("w") == "bfloat16"
    np.testing.assert_array_equal(tensors["w"], BFLOAT16)
    assert tensors["w"].dtype == np.float32


def test_weights_are_written_as_the_library_reads_them(tmp_path):
    """From any format, and with damage noticed; the library checks the header that is ours."""
    header = b'{"w":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}'
    (tmp_path / "half.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bfloat16_bits().tobytes())
    onnx.save(
        onnx_model([onnx.numpy_helper.from_array(array, name) for name, array in ARRAYS.items()]), tmp_path / "a.onnx"
    )
    for source, expected in (("a.onnx", ARRAYS), ("half.safetensors", {"w": BFLOAT16})):
        write_safetensors(read_tensors(tmp_path / source).tensors, tmp_path / "out.safetensors", {"note": "män"})
        written = safetensors.numpy.load_file(tmp_path / "out.safetensors")
        assert sorted(written) == sorted(expected)
        for name, array in expected.items():
            assert written[name].dtype == array.dtype
            np.testing.assert_array_equal(written[name], array)
    assert read_tensors(tmp_path / "out.safetensors").configuration == {"note": "män"}


def onnx_model(initialisers):
    node = onnx.helper.make_node("Identity", [initialisers[0].name], ["y"])
    graph = onnx.helper.make_graph([node], "g", [], [onnx.helper.make_tensor_value_info("y", 1, None)], initialisers)
    return onnx.helper.make_model(graph)


def as_values(name, array):
    """An initialiser whose numbers lie in typed fields instead of raw bytes."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.helper.make_tensor(name, kind, array.shape, array.ravel().tolist())


@pytest.mark.parametrize("make", [lambda n, a: onnx.numpy_helper.from_array(a, n), as_values], ids=["raw", "typed"])
def test_onnx_initialisers(tmp_path, make):
    onnx.save(onnx_model([make(name, array) for name, array in ARRAYS.items()]), tmp_path / "a.onnx")
    checkpoint = read_tensors(tmp_path / "a.onnx")
    same(checkpoint.tensors)
    assert checkpoint.format == "onnx"


def test_onnx_weights_in_a_file_beside_it(tmp_path):
    model = onnx_model([onnx.numpy_helper.from_array(array, name) for name, array in ARRAYS.items()])
    onnx.save(model, tmp_path / "a.onnx", save_as_external_data=True, location="a.data", size_threshold=0)
    same(read_tensors(tmp_path / "a.onnx").tensors)


@pytest.mark.parametrize("places", [{}, {"offset": "4"}, {"length": "12"}, {"offset": "4", "length": "12"}])
def test_where_onnx_weights_lie_in_the_file_beside_it(tmp_path, places):
    """Without an offset at its beginning, without a length as many bytes as the shape needs."""
    values = np.arange(4, dtype=np.float32)
    (tmp_path / "w.data").write_bytes(values.tobytes())
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[3], data_location=1)
    for key, value in {"location": "w.data", **places}.items():
        tensor.external_data.add(key=key, value=value)
    (tmp_path / "a.onnx").write_bytes(onnx_model([tensor]).SerializeToString())
    expected = values[1:] if "offset" in places else values[:3]
    np.testing.assert_array_equal(read_tensors(tmp_path / "a.onnx").tensors["w"], expected)


def test_an_empty_onnx_array_in_an_empty_file(tmp_path):
    (tmp_path / "w.data").write_bytes(b"")
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[0, 3], data_location=1)
    tensor.external_data.add(key="location", value="w.data")
    (tmp_path / "a.onnx").write_bytes(onnx_model([tensor]).SerializeToString())
    assert read_tensors(tmp_path / "a.onnx").tensors["w"].shape == (0, 3)


def test_bfloat16_in_onnx(tmp_path):
    raw = onnx.TensorProto(name="w", data_type=16, dims=[3], raw_data=bfloat16_bits().tobytes())
    typed = onnx.TensorProto(name="v", data_type=16, dims=[3], int32_data=bfloat16_bits().tolist())
    onnx.save(onnx_model([raw, typed]), tmp_path / "a.onnx")
    tensors = read_tensors(tmp_path / "a.onnx").tensors
    for name in ("w", "v"):
        np.testing.assert_array_equal(tensors[name], BFLOAT16)


YAML = """
audio:
  chunk_size: 352800
  hop_length: 441
model:
  dim: 384
  freqs_per_bands: !!python/tuple
    - 2
    - !!python/tuple [4, 12]
  multi_stft_resolutions_window_sizes: &id001 !!python/tuple [4096, 2048]
  again: *id001
  flash_attn: true
  skip_connection: no
training:
  lr: 1e-5
  instruments: ['vocals', 'other']
  target_instrument: null
  when: 2024-05-01
inference: {num_overlap: 4, normalize: false}
"""


def test_yaml_as_it_comes_with_roformers(tmp_path):
    (tmp_path / "a.yaml").write_text(YAML)
    assert read_configuration(tmp_path / "a.yaml") == {
        "audio": {"chunk_size": 352800, "hop_length": 441},
        "model": {
            "dim": 384,
            "freqs_per_bands": (2, (4, 12)),
            "multi_stft_resolutions_window_sizes": (4096, 2048),
            "again": (4096, 2048),
            "flash_attn": True,
            "skip_connection": False,
        },
        "training": {
            "lr": 1e-5,
            "instruments": ["vocals", "other"],
            "target_instrument": None,
            "when": "2024-05-01",
        },
        "inference": {"num_overlap": 4, "normalize": False},
    }


def test_json(tmp_path):
    (tmp_path / "a.json").write_text('\ufeff{"bins": 672, "band": {"1": {"sr": 7350}}}', encoding="utf-8")
    assert read_configuration(tmp_path / "a.json") == {"bins": 672, "band": {"1": {"sr": 7350}}}


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [{', '.join(['*' + chr(97 + k)] * 9)}]\n" for k in range(9)
)


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.yaml", "a: !!python/object/apply:os.system ['touch /tmp/x']", "line 1: .*os.system"),
        ("a.yaml", "a: !!python/object/new:os.system ['x']", "os.system"),
        ("a.yaml", "a: !!python/name:os.system", "os.system"),
        ("a.yaml", "a: !!python/module:os", "python/module"),
        ("a.yaml", "a: !!python/object:ml_collections.ConfigDict {}", "ConfigDict"),
        ("a.yaml", "a: !mine 3", "mine"),
        ("a.yaml", "a: !!python/tuple 3", "expected a sequence"),
        ("a.yaml", LAUGHS, "unfold"),
        ("a.yaml", "a: &a {x: 1}\nb: {<<: [*a, *a]}", "merged"),
        ("a.yaml", "a: &a [*a]", "in themselves"),
        ("a.yaml", "[" * 5000, "nested too deep|damaged|expected"),
        ("a.yaml", "a: [1, 2", "line"),
        ("a.yaml", "a: !!binary aGFsbG8=", "neither numbers nor text"),
        ("a.yaml", "{[1]: 2}", "line 1"),
        ("a.yaml", "a: 2024-99-99", "not a configuration"),
        ("a.yaml", "- 1", "expected names with values"),
        ("a.yaml", "", "expected names with values"),
        ("a.yaml", "a: \x00", "a.yaml"),
        ("a.json", "{", "not JSON"),
        ("a.json", "[" * 100_000, "nested too deep"),
        ("a.json", "[1]", "expected names with values"),
        ("a.json", "{}" + " " * (1 << 20), "too large"),
    ],
)
def test_hostile_configurations(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match=match) as caught:
        read_configuration(tmp_path / name)
    assert name in str(caught.value)
    assert str(caught.value).isprintable()


def test_configurations_that_are_no_text(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="UTF-8"):
        read_configuration(tmp_path / "a.yaml")
    with pytest.raises(CheckpointError, match="there is no configuration"):
        read_configuration(tmp_path / "b.yaml")


@pytest.mark.parametrize("file", ["a.ckpt", "a.CHPT", "a.th", "a.pth", "a.pt", "a.safetensors", "a.onnx"])
def test_names_of_checkpoints(file):
    assert is_checkpoint_name(Path(file))


@pytest.mark.parametrize("file", ["a", "ckpt", "a.wav", "a.ckpt.yaml", "a.zip"])
def test_names_of_other_files(file):
    assert not is_checkpoint_name(Path(file))
