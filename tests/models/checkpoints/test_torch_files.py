"""Files that PyTorch wrote, read without it."""

import argparse
import pickle
import subprocess
import sys
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest

from unweave.errors import CheckpointError
from unweave.models.checkpoints import read_tensors

torch = pytest.importorskip("torch")

RANDOM = torch.Generator().manual_seed(0)
DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool", "complex64")


def random(*shape):
    return torch.randn(*shape, generator=RANDOM)


def state():
    tied = random(6, 4)
    whole = random(5, 6, 7)
    return OrderedDict(
        {
            **{f"as_{dtype}": (10 * random(3, 5)).to(getattr(torch, dtype)) for dtype in DTYPES},
            "transposed": random(4, 6).t(),
            "part": whole[1:4, ::2, 3],
            "tied": tied,
            "tied_too": tied,
            "tied_rows": tied[2:4],
            "expanded": random(1, 3).expand(4, 3),
            "scalar": torch.tensor(3.5),
            "empty": torch.empty(0, 4),
            "parameter": torch.nn.Parameter(random(3)),
            "num_batches_tracked": torch.tensor(7),
            "channels_last": random(2, 3, 4, 5).to(memory_format=torch.channels_last),
        }
    )


def save(value, path, legacy=False):
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def same(tensors, expected):
    assert list(tensors) == list(expected)
    for name, tensor in expected.items():
        tensor = tensor.detach()
        tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        assert tensors[name].dtype == tensor.numpy().dtype, name
        assert tensors.shape(name) == tuple(tensor.shape)
        np.testing.assert_array_equal(tensors[name], tensor.numpy(), err_msg=name)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_every_type_and_layout_comes_back(tmp_path, legacy):
    checkpoint = read_tensors(save(state(), tmp_path / "model.ckpt", legacy))
    same(checkpoint.tensors, state_like(tmp_path / "model.ckpt"))
    assert checkpoint.format == ("torch-legacy" if legacy else "torch-zip")
    assert checkpoint.configuration is None
    assert checkpoint.tensors.n_values == sum(tensor.numel() for tensor in state().values())


def state_like(path):
    return torch.load(path, weights_only=True)


def test_unsigned_types_have_a_storage_of_bytes(tmp_path):
    value = {f"u{bits}": torch.tensor([0, 5, 65535], dtype=getattr(torch, f"uint{bits}")) for bits in (16, 32, 64)}
    same(read_tensors(save(value, tmp_path / "a.pth")).tensors, value)


def test_views_of_one_storage_in_a_legacy_file(tmp_path):
    whole = random(10)
    value = {"all": whole, "end": whole[6:], "start": whole[:3]}
    same(read_tensors(save(value, tmp_path / "a.th", legacy=True)).tensors, value)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s},
        lambda s: {"model_state_dict": s, "epoch": 3},
        lambda s: {"state": s, "optimizer": {"state": {0: {"exp_avg": random(3)}}, "param_groups": [{"lr": 1e-3}]}},
        lambda s: {"model": {"module": s}},
        lambda s: {"ema": s, "step": torch.tensor(3)},
        lambda s: {"model": s, "ema": {k: v * 2 for k, v in s.items()}},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": {f"_orig_mod.module.{k}": v for k, v in s.items()}},
        lambda s: {
            "epoch": 1,
            "pytorch-lightning_version": "2.1",
            "state_dict": OrderedDict((f"model.{k}", v) for k, v in s.items()),
            "optimizer_states": [{"state": {0: {"exp_avg": random(2, 2)}}}],
            "lr_schedulers": [{"base_lrs": [0.1]}],
        },
    ],
)
def test_the_weights_are_found_wherever_trainers_put_them(tmp_path, wrap):
    value = {"a.weight": random(2, 3), "b.bias": random(3)}
    same(read_tensors(save(wrap(value), tmp_path / "a.ckpt")).tensors, value)


def test_several_networks_in_one_file_keep_their_names(tmp_path):
    value = {"vocals": {"fc.weight": random(2)}, "drums": {"fc.weight": random(2)}}
    tensors = read_tensors(save(value, tmp_path / "a.ckpt")).tensors
    assert list(tensors) == ["vocals.fc.weight", "drums.fc.weight"]


def test_what_is_said_about_the_weights_is_plain_data(tmp_path):
    value = {
        "state": {"w": random(2)},
        "args": argparse.Namespace(lr=0.1, stems=["vocals", "other"], nested={"a": (1, 2)}),
        "best": np.float64(9.25),
        "shape": torch.Size([3, 4]),
        "dtype": torch.float16,
        "segment": Fraction(39, 5),
        "note": "männlich",
        "step": 12,
    }
    configuration = read_tensors(save(value, tmp_path / "a.ckpt")).configuration
    assert configuration == {
        "args": {"lr": 0.1, "stems": ["vocals", "other"], "nested": {"a": (1, 2)}},
        "best": 9.25,
        "shape": (3, 4),
        "dtype": "torch.float16",
        "segment": Fraction(39, 5),
        "note": "männlich",
        "step": 12,
    }


# A module named as Demucs', and OmegaConf's, whose classes end up in files of weights.
FOREIGN = """
import sys, types, torch, fractions
def module(name, *classes):
    made = types.ModuleType(name)
    for c in classes:
        setattr(made, c, type(c, (), {"__module__": name}))
    sys.modules[name] = made
    return made
module("demucs"), module("omegaconf"), module("omegaconf.nodes", "AnyNode"), module("ml_collections")
htdemucs = module("demucs.htdemucs", "HTDemucs")
DictConfig = module("omegaconf.dictconfig", "DictConfig").DictConfig
ConfigDict = module("ml_collections.config_dict", "ConfigDict").ConfigDict
node = sys.modules["omegaconf.nodes"].AnyNode()
node.__dict__["_val"] = 4
config = DictConfig()
config.__dict__.update(_content={"depth": node}, _parent=config, _metadata=None)
fields = ConfigDict()
fields.__dict__.update(_fields={"hop": 441}, _locked=True)
torch.save({
    "klass": htdemucs.HTDemucs, "args": (),
    "kwargs": {"sources": ["drums", "vocals"], "segment": fractions.Fraction(39, 5)},
    "state": {"w": torch.arange(4).half()}, "training_args": {"dset": config, "more": fields},
}, sys.argv[1])
"""


def test_a_package_of_demucs_with_classes_that_are_not_here(tmp_path):
    path = tmp_path / "955717e8.th"
    subprocess.run([sys.executable, "-c", FOREIGN, str(path)], check=True)
    checkpoint = read_tensors(path)
    assert checkpoint.configuration == {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": (),
        "kwargs": {"sources": ["drums", "vocals"], "segment": Fraction(39, 5)},
        "training_args": {"dset": {"depth": 4}, "more": {"hop": 441}},
    }
    assert checkpoint.tensors["w"].dtype == np.float16
    np.testing.assert_array_equal(checkpoint.tensors["w"], [0, 1, 2, 3])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_arrays_in_a_pickle(tmp_path, protocol):
    value = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big_endian": np.arange(4, dtype=">i4"),
        "empty": np.zeros((0, 2), np.float16),
        "flags": np.array([True, False]),
    }
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps(value, protocol))
    checkpoint = read_tensors(path)
    assert checkpoint.format == "pickle"
    for name, array in value.items():
        np.testing.assert_array_equal(checkpoint.tensors[name], array)
        assert checkpoint.tensors[name].dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_numpy_array_and_its_type_that_occur_twice(tmp_path, protocol):
    """A pickle writes them once, and refers to them from then on."""
    big_endian = np.dtype(">i4")
    tied = np.arange(6, dtype=np.float32).reshape(2, 3)
    value = {"a": tied, "b": tied, "c": np.arange(3, dtype=big_endian), "d": np.arange(4, dtype=big_endian)}
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps(value, protocol))
    tensors = read_tensors(path).tensors
    assert list(tensors) == ["a", "b", "c", "d"]
    for name, array in value.items():
        np.testing.assert_array_equal(tensors[name], array)


def test_a_tensor_with_attributes_of_its_own(tmp_path):
    value = {"a": random(3), "b": torch.nn.Parameter(random(2))}
    for tensor in value.values():
        tensor.note = "kept by PyTorch"
    same(read_tensors(save(value, tmp_path / "a.ckpt")).tensors, value)


def test_numpy_arrays_inside_a_zip_file(tmp_path):
    value = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    np.testing.assert_array_equal(read_tensors(save(value, tmp_path / "a.ckpt")).tensors["a"], value["a"])


def test_arrays_are_mapped_and_cannot_be_written(tmp_path):
    tensors = read_tensors(save({"a": random(3), "b": random(2, 3).t()}, tmp_path / "a.ckpt")).tensors
    for name in tensors:
        assert not tensors[name].flags.writeable
        assert not tensors[name].flags.owndata


def test_opening_takes_no_memory_for_the_arrays(tmp_path):
    path = save({f"w{k}": torch.zeros(1 << 22) for k in range(8)}, tmp_path / "a.ckpt")  # 128 MB
    code = f"""
import resource
from unweave.models.checkpoints import read_tensors
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tensors = read_tensors({str(path)!r}).tensors
assert tensors.n_values == 8 << 22
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
    assert grown < 30_000  # kB


def test_a_file_without_checksums(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        path = save({"a": random(3)}, tmp_path / "a.ckpt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_tensors(path).tensors["a"].shape == (3,)


def test_no_pytorch_is_imported(tmp_path):
    path = save({"a": random(3)}, tmp_path / "a.ckpt")
    code = (
        "import sys; from unweave.models.checkpoints import read_tensors; "
        f"read_tensors({str(path)!r}).tensors['a']; assert 'torch' not in sys.modules and 'onnx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_flipped_bit_in_the_numbers_is_noticed(tmp_path):
    path = save({"a": torch.full((100,), 1.5), "b": torch.ones(3)}, tmp_path / "a.ckpt")
    raw = bytearray(path.read_bytes())
    place = raw.index(np.full(100, 1.5, np.float32).tobytes())
    raw[place + 50] ^= 1
    path.write_bytes(raw)
    tensors = read_tensors(path).tensors
    with pytest.raises(CheckpointError, match=r"a\.ckpt.*damaged: its checksum"):
        tensors["a"]
    np.testing.assert_array_equal(tensors["b"], np.ones(3))


def test_the_configuration_beside_it_is_found_and_wins(tmp_path):
    path = save({"state_dict": {"a": random(3)}, "step": 3, "note": "inside"}, tmp_path / "model.ckpt")
    (tmp_path / "model.yaml").write_text("note: beside\naudio: {chunk_size: 352800}\n")
    assert read_tensors(path).configuration == {"step": 3, "note": "beside", "audio": {"chunk_size": 352800}}
    other = tmp_path / "other.json"
    other.write_text('{"note": "given"}')
    assert read_tensors(path, other).configuration == {"step": 3, "note": "given"}


@pytest.mark.parametrize("file", ["männer.ckpt", "声.ckpt"])
def test_a_file_that_was_saved_under_a_name_in_another_language(tmp_path, file):
    """PyTorch names the folder inside after the file."""
    value = {"a": random(3)}
    same(read_tensors(save(value, tmp_path / file)).tensors, value)


def test_keys_of_several_parts(tmp_path):
    """Numbers below 2^63, and tuples of up to eight parts that are no tuples themselves."""
    keys = [(1, "a"), tuple(range(8)), -(1 << 62), (1 << 63) - 1, None, 0.5, True]
    path = save({"w": random(2), "x": dict.fromkeys(keys, 3)}, tmp_path / "a.ckpt")
    settings = read_tensors(path).configuration
    assert settings == {"x": {str(key) if isinstance(key, tuple) else key: 3 for key in keys}}
    for key in (tuple(range(9)), (1, (2, 3)), 1 << 63, (1, 1 << 64)):
        with pytest.raises(CheckpointError, match="as a key"):
            read_tensors(save({"w": random(2), "x": {key: 3}}, tmp_path / "b.ckpt"))
