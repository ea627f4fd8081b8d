"""Where trainers put the weights, and what they leave beside them."""

import argparse
import collections
import datetime
import math
import pathlib
import pickle
import types
from fractions import Fraction

import numpy as np
import pytest
import safetensors.numpy

from tests.helpers.torch_files import dictionary, name, number, tensor, text, whole, zip_bytes
from unweave.errors import CheckpointError
from unweave.models.checkpoints import read_configuration, read_tensors
from unweave.models.checkpoints.configuration import configuration_beside
from unweave.models.checkpoints.tensors import Tensors, shown

DTYPES = (
    "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64", "bool", "complex64", "complex128",
)  # fmt: skip
ONE, TWO = np.arange(3, dtype=np.float32), np.arange(4, dtype=np.float32)


def read(folder, value, protocol=2):
    (folder / "a.th").write_bytes(pickle.dumps(value, protocol))
    return read_tensors(folder / "a.th")


@pytest.mark.parametrize(
    "wrapper",
    [
        "state_dict", "model_state_dict", "state", "model", "best_state", "net", "network", "generator", "weights",
        "params", "ema", "ema_state_dict", "model_ema", "module",
    ],
)  # fmt: skip
def test_the_weights_are_told_from_other_arrays_by_their_name(tmp_path, wrapper):
    checkpoint = read(tmp_path, {"discriminator": {"c": TWO}, wrapper: {"a": ONE, "b": TWO}, "epoch": 3})
    assert sorted(checkpoint.tensors) == ["a", "b"]
    assert checkpoint.configuration == {"epoch": 3}


@pytest.mark.parametrize(("first", "second"), [("state_dict", "ema"), ("model", "module"), ("best_state", "state")])
def test_the_most_telling_name_wins(tmp_path, first, second):
    assert list(read(tmp_path, {second: {"b": TWO}, first: {"a": ONE}}).tensors) == ["a"]


@pytest.mark.parametrize(
    "training",
    [
        "optimizer", "optimizers", "optimizer_states", "optimizer_state_dict", "scheduler", "scaler", "lr_schedulers",
    ],
)  # fmt: skip
def test_the_state_of_a_training_is_left_out(tmp_path, training):
    checkpoint = read(tmp_path, {"vocals": {"a": ONE}, training: {"a": {"lr": ONE}, "steps": 3}})
    assert list(checkpoint.tensors) == ["a"]
    assert checkpoint.configuration is None


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "net.", "network.", "generator.", "ema_model.", "module.model."]
)
def test_a_prefix_that_all_names_share_goes(tmp_path, prefix):
    assert sorted(read(tmp_path, {f"{prefix}a.w": ONE, f"{prefix}b": TWO}).tensors) == ["a.w", "b"]
    assert list(read(tmp_path, {f"{prefix}a": ONE, "b": TWO}).tensors) == [f"{prefix}a", "b"]
    assert list(read(tmp_path, {prefix: ONE}).tensors) == [prefix.removeprefix("module.") or prefix]
    averaged = {"n_averaged": np.array(7), f"module.{prefix}a": ONE, f"module.{prefix}b": TWO}
    assert sorted(read(tmp_path, averaged).tensors) == ["a", "b"]
    safetensors.numpy.save_file({f"{prefix}a.w": ONE, f"{prefix}b": TWO}, tmp_path / "a.safetensors")
    assert sorted(read_tensors(tmp_path / "a.safetensors").tensors) == ["a.w", "b"]
    kept = read_tensors(tmp_path / "a.safetensors", keeps_prefixes=True)
    assert sorted(kept.tensors) == [f"{prefix}a.w", f"{prefix}b"]


def nested(depth, value):
    for level in range(depth):
        value = {f"level {level}": value}
    return value


def test_weights_eight_dictionaries_deep_are_found(tmp_path):
    assert list(read(tmp_path, nested(8, {"a": ONE})).tensors) == ["a"]
    with pytest.raises(CheckpointError, match="no weights"):
        read(tmp_path, nested(9, {"a": ONE}))


def test_an_empty_dictionary_is_no_network(tmp_path):
    checkpoint = read(tmp_path, {"vocals": {"a": ONE}, "empty": {}, "names": {1: 2}})
    assert list(checkpoint.tensors) == ["a"]
    assert checkpoint.configuration == {"empty": {}, "names": {1: 2}}


def test_a_dictionary_that_holds_itself_and_nothing_else(tmp_path):
    loop = {}
    loop["itself"] = loop
    with pytest.raises(CheckpointError, match="in themselves"):
        read(tmp_path, {"vocals": {"a": ONE}, "loop": loop})


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_settings_of_every_class_that_trainers_use(tmp_path, protocol):
    """Real objects, pickled as they are; every one comes back as plain data."""
    torch = pytest.importorskip("torch")
    settings = {
        "namespace": argparse.Namespace(lr=0.1, nested=types.SimpleNamespace(a=[1, (2, "x")])),
        "default": collections.defaultdict(list, {"a": [1], (1, "b"): None}),
        "ordered": collections.OrderedDict(b=1, a=2),
        "path": pathlib.PurePosixPath("data/musdb"),
        "absolute": pathlib.PurePosixPath("/data/musdb"),
        "windows": pathlib.PureWindowsPath("data", "musdb"),
        "real": pathlib.Path("runs"),
        "device": torch.device("cuda"),
        "size": torch.Size([2, 3]),
        "dtypes": [getattr(torch, dtype) for dtype in DTYPES],
        "class": torch.nn.Parameter,
        "kinds": [int, float, str, bool, tuple, list, dict, object, complex],
        "set": {3},
        "frozen": frozenset([4]),
        "fractions": [Fraction(39, 5), Fraction(-1, 3), Fraction(7)],
        "numbers": [np.float32(1.5), np.int64(-3), np.float64(0.1), np.bool_(True)],
        "nothing": b"",  # bytes are no setting: left out
        "nothing either": bytearray(),
        "long": 1 << 70,
        "false": [False, None, -1, 1e-9, "män", ()],
    }
    checkpoint = read(tmp_path, {"state_dict": {"a": ONE}, **settings}, protocol)
    kinds = ["int", "float", "str", "bool", "tuple", "list", "dict", "object", "complex"]
    in_python_2 = {"int": "long", "str": "unicode"}
    assert checkpoint.configuration == {
        "namespace": {"lr": 0.1, "nested": {"a": [1, (2, "x")]}},
        "default": {"a": [1], "(1, 'b')": None},
        "ordered": {"b": 1, "a": 2},
        "path": "data/musdb",
        "absolute": "/data/musdb",
        "windows": "data/musdb",
        "real": "runs",
        "device": "cuda",
        "size": (2, 3),
        "dtypes": [f"torch.{dtype}" for dtype in DTYPES],
        "class": "torch.nn.parameter.Parameter",
        "kinds": [
            f"__builtin__.{in_python_2.get(kind, kind)}" if protocol == 2 else f"builtins.{kind}" for kind in kinds
        ],
        "set": [3],
        "frozen": [4],
        "fractions": [Fraction(39, 5), Fraction(-1, 3), Fraction(7)],
        "numbers": [1.5, -3, 0.1, True],
        "long": 1 << 70,
        "false": [False, None, -1, 1e-9, "män", ()],
    }


def test_what_trainers_note(tmp_path):
    """The scheduler MultiStepLR keeps a Counter, others the latest losses, the day and the version."""
    torch = pytest.importorskip("torch")
    network = torch.nn.Linear(2, 2)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(torch.optim.Adam(network.parameters()), [3, 5])
    notes = {
        "steps": scheduler.state_dict()["milestones"],
        "losses": collections.deque([0.5, 0.25], maxlen=3),
        "saved": [datetime.datetime(2026, 11, 30, 12), datetime.date(2026, 11, 30), datetime.timedelta(1)],
        "begun": [datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.timezone.utc), datetime.time(12)],
        "version": torch.__version__,
    }
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": network.state_dict(), "schedule": scheduler.state_dict(), **notes}, path)
    checkpoint = read_tensors(path)
    assert list(checkpoint.tensors) == ["weight", "bias"]
    assert checkpoint.configuration is not None
    assert checkpoint.configuration["steps"] == {3: 1, 5: 1}
    assert checkpoint.configuration["losses"] == [0.5, 0.25]
    assert checkpoint.configuration["version"] == torch.__version__


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("demucs.htdemucs", "HTDemucs"), ("demucs.hdemucs", "HDemucs"), ("demucs.demucs", "Demucs"),
        ("demucs.model", "Demucs"), ("demucs.tasnet", "ConvTasNet"), ("demucs.tasnet_v2", "ConvTasNet"),
        ("typing", "Any"), ("typing", "Union"), ("torch", "HalfStorage"), ("torch", "Tensor"),
        ("__builtin__", "unicode"), ("__builtin__", "long"), ("omegaconf.base", "Metadata"),
    ],
)  # fmt: skip
def test_a_class_that_is_only_mentioned_is_its_name(tmp_path, module, attribute):
    table = dictionary(w=tensor((3, 4), (4, 1)), x=name(module, attribute))
    (tmp_path / "a.ckpt").write_bytes(zip_bytes(whole(table), {"0": bytes(48)}))
    assert read_tensors(tmp_path / "a.ckpt").configuration == {"x": f"{module}.{attribute}"}


def made(module, attribute, arguments, state=b""):
    parts = pickle.MARK + b"".join(arguments) + pickle.TUPLE
    return name(module, attribute) + parts + pickle.NEWOBJ + state


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (made("omegaconf.listconfig", "ListConfig", (), dictionary(_content=number(3)) + pickle.BUILD), 3),
        (made("omegaconf.nodes", "AnyNode", (), dictionary(_val=number(4), _key=text("k")) + pickle.BUILD), 4),
        (made("omegaconf.base", "Node", (), dictionary(a=number(5)) + pickle.BUILD), {"a": 5}),
        (made("ml_collections.config_dict", "C", (), dictionary(_fields=number(6)) + pickle.BUILD), 6),
        (made("ml_collections.config_dict", "C", (), dictionary(_val=number(6)) + pickle.BUILD), {"_val": 6}),
        (made("lightning.x", "Y", (), dictionary(_content=number(7)) + pickle.BUILD), {"_content": 7}),
        (
            made("lightning.x", "Y", (), dictionary(a=number(1)) + pickle.NONE + pickle.TUPLE2 + pickle.BUILD),
            {"a": 1},
        ),
        (made("lightning_fabric.x", "Y", (number(8),)), 8),
        (made("pytorch_lightning.x", "Y", ()), {"class": "pytorch_lightning.x.Y"}),
        (made("pytorch_lightning.x", "Y", (number(1), number(2))), {"class": "pytorch_lightning.x.Y"}),
        (made("lightning.x", "L", (), number(1) + pickle.APPEND), [1]),
        (made("lightning.x", "D", (), text("k") + number(1) + pickle.SETITEM), {"k": 1}),
    ],
)
def test_objects_that_hold_settings(tmp_path, value, expected):
    table = dictionary(w=tensor((3, 4), (4, 1)), x=value)
    (tmp_path / "a.ckpt").write_bytes(zip_bytes(whole(table), {"0": bytes(48)}))
    assert read_tensors(tmp_path / "a.ckpt").configuration == {"x": expected}


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
@pytest.mark.parametrize("kind", ["Path", "PosixPath", "WindowsPath"])
def test_paths_of_other_versions_and_systems(tmp_path, module, kind):
    value = name(module, kind) + pickle.MARK + text("data") + text("musdb") + pickle.TUPLE + pickle.REDUCE
    table = dictionary(w=tensor((3, 4), (4, 1)), x=value)
    (tmp_path / "a.ckpt").write_bytes(zip_bytes(whole(table), {"0": bytes(48)}))
    assert read_tensors(tmp_path / "a.ckpt").configuration == {"x": "data/musdb"}


@pytest.mark.parametrize(
    ("checkpoint", "names"),
    [
        ("a.ckpt", ["a.yaml", "a.yml", "a.json", "a.ckpt.yaml", "a.ckpt.yml", "a.ckpt.json", "config_a.yaml"]),
        ("b.c.th", ["b.c.yaml", "b.c.th.json", "config_b.c.yml", "config_b.c.json"]),
        ("d.json", ["d.yaml", "d.json.json", "config_d.json"]),
    ],
)
def test_which_configuration_lies_beside_a_checkpoint(tmp_path, checkpoint, names):
    (tmp_path / checkpoint).write_bytes(b"x")
    (tmp_path / "config.yaml").write_text("a: 1")
    assert configuration_beside(tmp_path / checkpoint) is None
    for name_of_it in reversed(names):  # each wins against all that come after it
        (tmp_path / name_of_it).write_text("a: 1")
        assert configuration_beside(tmp_path / checkpoint) == tmp_path / name_of_it


def test_a_configuration_as_large_as_may_be(tmp_path):
    (tmp_path / "a.YAML").write_text("a: 1" + " " * ((1 << 18) - 4))
    assert read_configuration(tmp_path / "a.YAML") == {"a": 1}
    (tmp_path / "a.JSON").write_text('{"1": 1e-5}')
    assert read_configuration(tmp_path / "a.JSON") == {"1": 1e-5}


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-5", 1e-5), ("-2E+3", -2e3), ("+1e2", 100.0), ("e-5", "e-5"), ("1e", "1e"), ("1e5x", "1e5x"), ("12", 12)],
)
def test_numbers_with_an_exponent(tmp_path, written, value):
    (tmp_path / "a.yaml").write_text(f"lr: {written}\n3: x")
    assert read_configuration(tmp_path / "a.yaml") == {"lr": value, "3": "x"}


def test_settings_of_64_levels_and_no_more(tmp_path):
    (tmp_path / "a.yaml").write_text("a: " + "[" * 63 + "1" + "]" * 63)
    assert str(read_configuration(tmp_path / "a.yaml")["a"]).count("[") == 63
    (tmp_path / "a.yaml").write_text("a: " + "[" * 64 + "1" + "]" * 64)
    with pytest.raises(CheckpointError, match="more than 64 deep"):
        read_configuration(tmp_path / "a.yaml")


def test_several_files_under_one_roof(tmp_path):
    for part, value in (("vocals", {"a": ONE, "b": TWO}), ("drums", {"a": TWO})):
        (tmp_path / part).write_bytes(pickle.dumps(value, 2))
    parts = {f"{part}/": read_tensors(tmp_path / part).tensors for part in ("vocals", "drums")}
    joined = Tensors.joined(parts, tmp_path)
    assert list(joined) == ["vocals/a", "vocals/b", "drums/a"]
    assert (len(joined), joined.n_values, joined.path) == (3, 3 + 4 + 4, tmp_path)
    np.testing.assert_array_equal(joined["drums/a"], TWO)
    renamed = joined.renamed({"vocals/b": "x"})
    assert list(renamed) == ["x"]
    assert (renamed.shape("x"), renamed.dtype("x"), renamed.path) == ((4,), "float32", tmp_path)
    assert "x" in renamed
    assert "vocals/b" not in renamed


def test_how_values_of_a_file_are_shown():
    assert shown("x" * 80) == "x" * 80
    assert shown("x" * 81) == "x" * 80 + "…"
    assert shown("a\nb\x1b[2J") == "a?b?[2J"
    assert shown("abc", limit=2) == "ab…"
    assert shown((1, 2.5, None, b"x", "y", [1])) == "(1, 2.5, None, b'x', str, list)"
    assert shown(tuple(range(8))) == "(0, 1, 2, 3, 4, 5, 6, 7)"
    assert shown(tuple(range(9))) == "(0, 1, 2, 3, 4, 5, 6, 7, …)"
    assert shown((1 << 256,)) == "(a huge number)"
    assert shown((1 << 256) - 1, limit=100) == str((1 << 256) - 1)
    assert math.isnan(float(shown(math.nan)))
