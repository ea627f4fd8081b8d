"""Files that were made to do harm, or are broken: each is refused in one line, and nothing in them happens.

`docs/checkpoints.md` has the table of these.
"""

import io
import json
import os
import pickle
import random
import struct
import subprocess
import zipfile

import numpy as np
import onnx
import pytest
import safetensors.numpy

from tests.helpers.torch_files import (
    PROTO,
    dictionary,
    legacy_bytes,
    name,
    number,
    storage,
    tensor,
    text,
    whole,
    zip_bytes,
)
from unweave.errors import CheckpointError
from unweave.models.checkpoints import pickles, read_tensors

RAW = np.arange(12, dtype=np.float32).tobytes()


def read_all(path):
    tensors = read_tensors(path).tensors
    return {key: np.array(tensors[key]) for key in tensors}


def refused(path, raw, match="."):
    """Check that reading everything in the file is refused in one line that names it; returns the line."""
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=match) as caught:
        read_all(path)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400 + len(str(path))
    assert path.name in message
    return message


def in_zip(table, raw=RAW, **options):
    return zip_bytes(whole(table), {"0": raw}, **options)


def call(module, attribute, *arguments):
    return name(module, attribute) + pickle.MARK + b"".join(arguments) + pickle.TUPLE + pickle.REDUCE


class Harm:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


# What to run, as real pickles of every protocol: each would leave a file if it were run.
CALLS = {
    "os.system": lambda mark: Harm(os.system, f"touch {mark}"),
    "eval": lambda mark: Harm(eval, f"open({mark!r}, 'w')"),
    "exec": lambda mark: Harm(exec, f"open({mark!r}, 'w')"),
    "subprocess": lambda mark: Harm(subprocess.Popen, ["touch", mark]),
    "open": lambda mark: Harm(open, mark, "w"),
    "import": lambda mark: Harm(__import__, "antigravity"),
    "nested": lambda mark: {"state_dict": [(1, {"x": Harm(os.system, f"touch {mark}")})]},
    "in arguments": lambda mark: Harm(print, Harm(os.system, f"touch {mark}")),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("what", CALLS)
def test_nothing_is_run(tmp_path, what, protocol):
    mark = tmp_path / "mark"
    table = pickle.dumps({"w": CALLS[what](str(mark))}, protocol)
    for raw in (zip_bytes(table), legacy_bytes(table, (), (), ()), table):
        refused(tmp_path / "a.ckpt", raw, match="it asks for|uses the instruction")
    assert not mark.exists()


NAMES = (
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"), ("__builtin__", "eval"),
    ("builtins", "getattr"), ("builtins", "exec"), ("operator", "attrgetter"), ("functools", "partial"),
    ("torch.storage", "_load_from_bytes"), ("torch.hub", "load"), ("torch.jit", "load"), ("numpy", "load"),
    ("numpy.core.multiarray", "frombuffer"), ("numpy.testing._private.utils", "runstring"), ("_codecs", "decode"),
    ("importlib", "import_module"), ("webbrowser", "open"), ("pickle", "loads"), ("copyreg", "__newobj__"),
    ("torch._utils", "_rebuild_qtensor"), ("torch._utils", "_rebuild_sparse_tensor"), ("torch.nn.modules", "Linear"),
    ("collections", "OrderedDict.__init__"), ("torch._utils", "_rebuild_tensor_v2.__globals__"), ("", ""),
    ("a", "b\x1b[2J"),
)  # fmt: skip


@pytest.mark.parametrize(("module", "attribute"), NAMES)
def test_a_name_that_is_not_known_is_refused_by_name(tmp_path, module, attribute):
    table = dictionary(w=name(module, attribute))
    message = refused(tmp_path / "a.ckpt", in_zip(table))
    assert f"asks for {module}.{attribute}".replace("\x1b", "?") in message
    stacked = dictionary(w=text(module) + text(attribute) + pickle.STACK_GLOBAL)
    refused(tmp_path / "a.ckpt", in_zip(stacked), match="asks for")


HOSTILE = {
    # calls of what is known, with what it is not made for
    "a class of Demucs called": call("demucs.htdemucs", "HTDemucs"),
    "a class of Demucs made": name("demucs.htdemucs", "HTDemucs") + pickle.EMPTY_TUPLE + pickle.NEWOBJ,
    "a storage class called": call("torch", "FloatStorage", number(1 << 40)),
    "a type called": call("builtins", "list", number(3)),
    "a value called": number(3) + pickle.EMPTY_TUPLE + pickle.REDUCE,
    "a name's attributes set": name("torch._utils", "_rebuild_tensor_v2") + pickle.EMPTY_DICT + pickle.BUILD,
    "a number's attributes set": number(3) + pickle.EMPTY_DICT + pickle.BUILD,
    "a name appended to": name("torch", "FloatStorage") + number(1) + pickle.APPEND,
    "an item of a number": number(3) + text("a") + number(1) + pickle.SETITEM,
    "bytes of 2^40": call("builtins", "bytes", number(1 << 40)),
    "bytearray of 2^40": call("builtins", "bytearray", number(1 << 40)),
    "another codec": call("_codecs", "encode", text("00"), text("hex")),
    "rot13": call("_codecs", "encode", text("00"), text("rot13")),
    "fraction of zero": call("fractions", "Fraction", text("1/0")),
    "fraction with an exponent": call("fractions", "Fraction", text("1e999999999")),
    "a set of a number": call("builtins", "set", number(3)),
    "ordered dict of a number": call("collections", "OrderedDict", number(3)),
    "size of a number": call("torch", "Size", number(3)),
    "parameter of a list": call("torch._utils", "_rebuild_parameter", pickle.EMPTY_LIST),
    "tensor without arguments": call("torch._utils", "_rebuild_tensor_v2"),
    "tensor of a type that calls": call(
        "torch._tensor", "_rebuild_from_type_v2", name("collections", "OrderedDict"), name("torch", "Tensor"),
        pickle.EMPTY_TUPLE, pickle.EMPTY_DICT,
    ),
    # NumPy
    "objects in an array": call("numpy", "dtype", text("O8"), pickle.NEWFALSE, pickle.NEWTRUE),
    "records in an array": call("numpy", "dtype", text("V16"), pickle.NEWFALSE, pickle.NEWTRUE),
    "array of 2^40 at once": call(
        "numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray"), number(1 << 40) + pickle.TUPLE1, text("b")
    ),
    "array of another class": call(
        "numpy.core.multiarray", "_reconstruct", name("torch", "Tensor"), number(0) + pickle.TUPLE1, text("b")
    ),
    "scalar without bytes": call("numpy.core.multiarray", "scalar", call("numpy", "dtype", text("f8")), text("x")),
    # the machine
    "nothing on the stack": pickle.POP + pickle.POP,
    "no mark": pickle.TUPLE,
    "unknown memo": pickle.BINGET + b"\x07",
    "extension registry": pickle.EXT1 + b"\x01",
    "old instance": pickle.MARK + pickle.INST + b"os\nsystem\n",
    "old object": pickle.MARK + name("torch", "FloatStorage") + pickle.OBJ,
    "text persistent id": pickle.PERSID + b"0\n",
    "out of band buffer": pickle.NEXT_BUFFER,
    "a name without an end": pickle.GLOBAL + b"os" * 5000,
    "odd items": pickle.EMPTY_DICT + pickle.MARK + text("a") + pickle.SETITEMS,
    "a list as a key": pickle.EMPTY_DICT + pickle.EMPTY_LIST + number(1) + pickle.SETITEM,
    "an integer of 200 bytes": pickle.LONG1 + bytes([200]) + b"\x7f" * 200,
    "an integer of 2 GB": pickle.LONG4 + struct.pack("<i", 2**31 - 1) + b"\x7f",
    "a negative length": pickle.LONG4 + struct.pack("<i", -5),
    "a string of 2^62 bytes": pickle.BINUNICODE8 + struct.pack("<Q", 1 << 62) + b"x",
    "bytes of 2^62 bytes": pickle.BINBYTES8 + struct.pack("<Q", 1 << 62) + b"x",
    "a frame of 2^62 bytes": pickle.FRAME + struct.pack("<Q", 1 << 62),
    "text that is not UTF-8": pickle.BINUNICODE + struct.pack("<I", 2) + b"\xff\xfe",
    "a million marks": pickle.MARK * 1_000_000,
    "a global named by numbers": number(1) + number(2) + pickle.STACK_GLOBAL,
    # storages
    "another persistent id": text("module") + pickle.BINPERSID,
    "a short persistent id": pickle.MARK + text("storage") + pickle.TUPLE + pickle.BINPERSID,
    "a storage of an unknown type": storage(12, kind="Tensor"),
    "a storage of quantised numbers": storage(12, kind="QInt8Storage"),
    "a missing storage": storage(12, key="7"),
    "a storage elsewhere": storage(12, key="../../0"),
    "a storage of the wrong length": storage(11),
    "a storage of negative length": storage(-12),
    "a storage of 2^100": storage(1 << 100),
    "a storage of half the length": storage(12, kind="HalfStorage"),
    # tensors
    "shape beyond the storage": tensor((4, 4), (4, 1)),
    "offset beyond the storage": tensor((3, 4), (4, 1), offset=1),
    "negative offset": tensor((3,), (1,), offset=-1),
    "negative stride": tensor((3,), (-1,), offset=4),
    "negative size": tensor((-3, -4), (4, 1)),
    "huge stride": tensor((2, 2), (1 << 62, 1)),
    "huge size": tensor((1 << 62,), (0,)),
    "size that overflows": tensor((1 << 32, 1 << 32), (0, 0)),
    "an empty array with a huge size": tensor((0, 1 << 62), (1, 1)),
    "one number repeated 2^30 times": tensor((1 << 30,), (0,)),
    "strides of another length": tensor((3, 4), (1,)),
    "a thousand dimensions": tensor((1,) * 1000, (1,) * 1000),
    "an empty array far outside": tensor((0,), (1,), offset=1 << 40),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_pickles(tmp_path, what):
    refused(tmp_path / "a.ckpt", in_zip(dictionary(w=HOSTILE[what])))
    refused(tmp_path / "a.th", legacy_bytes(whole(dictionary(w=HOSTILE[what]))))


def test_the_right_file_that_these_are_made_from_is_read(tmp_path):
    for raw in (
        in_zip(dictionary(w=tensor((3, 4), (4, 1)))),
        legacy_bytes(whole(dictionary(w=tensor((3, 4), (4, 1))))),
    ):
        (tmp_path / "a.ckpt").write_bytes(raw)
        assert read_tensors(tmp_path / "a.ckpt").tensors["w"].shape == (3, 4)


def memoised(index):
    return pickle.LONG_BINPUT + struct.pack("<I", index)


def recalled(index):
    return pickle.LONG_BINGET + struct.pack("<I", index)


def laughs(kind, levels=40):
    """A value that holds the one before twice, and so unfolds to 2^levels."""
    body = text("ha") + memoised(0) + pickle.POP
    for level in range(levels):
        one = recalled(level)
        made = dictionary(a=one, b=one) if kind == "dict" else one + one + pickle.TUPLE2
        body += made + memoised(level + 1) + pickle.POP
    return body + recalled(levels)


@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_a_memo_bomb_in_the_settings(tmp_path, kind):
    refused(tmp_path / "a.ckpt", in_zip(dictionary(w=tensor((12,), (1,)), x=laughs(kind))), match="unfold|nested")


def test_a_memo_bomb_of_weights(tmp_path):
    body = dictionary(w=tensor((12,), (1,))) + memoised(0) + pickle.POP
    for level in range(7):
        body += dictionary(**{f"n{k}": recalled(level) for k in range(30)}) + memoised(level + 1) + pickle.POP
    refused(tmp_path / "a.ckpt", in_zip(body + recalled(7)), match="unfold")


def test_many_views_of_one_storage_are_no_bomb(tmp_path):
    views = {f"w{k}": tensor((1 << 21, 3), (1, 1), n_elements=(1 << 21) + 2) for k in range(200)}
    raw = bytes(4 * ((1 << 21) + 2))
    refused(tmp_path / "a.ckpt", in_zip(dictionary(**views), raw=raw), match="the arrays would take")


def test_a_codec_bomb(tmp_path):
    """A long string, encoded again and again, would take memory without end."""
    body = text("x" * 100_000) + memoised(0) + pickle.POP
    once = name("_codecs", "encode") + recalled(0) + text("latin1") + pickle.TUPLE2 + pickle.REDUCE
    body += pickle.MARK + once * 1000 + pickle.LIST
    refused(tmp_path / "a.ckpt", in_zip(body), match="more bytes than it has")


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_a_structure_in_itself(tmp_path, kind):
    if kind == "list":
        loop = pickle.EMPTY_LIST + memoised(0) + recalled(0) + pickle.APPEND
    else:
        loop = pickle.EMPTY_DICT + memoised(0) + text("state") + recalled(0) + pickle.SETITEM
    refused(tmp_path / "a.ckpt", in_zip(loop))
    refused(tmp_path / "a.ckpt", in_zip(dictionary(w=tensor((12,), (1,)), x=loop)), match="in themselves")


def test_a_pickle_of_too_many_instructions(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_INSTRUCTIONS", 10_000)
    refused(tmp_path / "a.ckpt", in_zip((pickle.NONE + pickle.POP) * 6_000 + RIGHT), match="too long")
    monkeypatch.setattr(pickles, "MAX_PICKLE_BYTES", 1_000)
    refused(tmp_path / "a.ckpt", in_zip(text("x" * 2_000)), match="2000 bytes")


def test_a_name_with_an_escape(tmp_path):
    refused(tmp_path / "a.ckpt", in_zip(name("os\\x2e", "system")), match="names something")


def test_no_end_and_more_than_one_value(tmp_path):
    refused(tmp_path / "a.ckpt", zip_bytes(PROTO + pickle.NONE), match="damaged")
    refused(tmp_path / "a.ckpt", zip_bytes(whole(pickle.NONE + pickle.NONE)), match="damaged")
    refused(tmp_path / "a.ckpt", zip_bytes(b""), match="damaged")
    refused(tmp_path / "a.ckpt", zip_bytes(pickle.PROTO + b"\x09" + pickle.NONE + pickle.STOP), match="version 9")


@pytest.mark.parametrize("value", [None, 3, [1, 2], {}, {"a": 1}, {"state_dict": {}}, "text"])
def test_no_weights(tmp_path, value):
    refused(tmp_path / "a.ckpt", zip_bytes(pickle.dumps(value, 2)), match="no weights|no dictionary")


def test_quantised_weights_are_named(tmp_path):
    table = pickle.dumps({"state": {"__quantized": True, "w": np.zeros(3)}}, 2)
    refused(tmp_path / "a.th", table, match="DiffQ")


# The zip file


RIGHT = dictionary(w=tensor((3, 4), (4, 1)))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_entries(tmp_path, compression):
    refused(tmp_path / "a.ckpt", in_zip(RIGHT, compression=compression), match="compressed")


def test_a_zip_bomb(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(200 << 20))
    refused(tmp_path / "a.ckpt", stream.getvalue(), match="compressed")


@pytest.mark.parametrize(
    "entry", ["/etc/passwd", "../evil", "archive/../../evil", "archive\\..\\evil", "C:/evil", "archive/data/x:y"]
)
def test_dangerous_names(tmp_path, entry):
    refused(tmp_path / "a.ckpt", in_zip(RIGHT, extra=[(entry, b"x")]), match="dangerous name")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name(tmp_path):
    refused(tmp_path / "a.ckpt", in_zip(RIGHT, extra=[("archive/data/0", RAW)]), match="two entries")
    refused(tmp_path / "a.ckpt", in_zip(RIGHT, extra=[("other/data.pkl", b"x")]), match=r"data\.pkl")


@pytest.mark.parametrize("order", [b"big", b"middle", b""])
def test_another_byte_order(tmp_path, order):
    refused(tmp_path / "a.ckpt", in_zip(RIGHT, extra=[("archive/byteorder", order)]), match="byte order")
    refused(tmp_path / "a.th", legacy_bytes(whole(RIGHT), little=False), match="byte order")


def test_other_zip_files(tmp_path):
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3))
    refused(tmp_path / "a.ckpt", stream.getvalue(), match="not one of PyTorch's")
    refused(tmp_path / "a.ckpt", in_zip(RIGHT, extra=[("archive/code/__torch__.py", b"x")]), match="TorchScript")


def test_an_entry_that_lies_about_its_place(tmp_path):
    raw = bytearray(in_zip(RIGHT))
    central = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 4)  # of data/0
    for offset, value in ((42, 0), (42, len(raw) - 8), (42, 1 << 31), (20, 1 << 20), (24, 1 << 20)):
        changed = bytearray(raw)
        struct.pack_into("<I", changed, central + offset, value)
        if offset in (20, 24):  # both sizes
            struct.pack_into("<II", changed, central + 20, value, value)
        refused(tmp_path / "a.ckpt", bytes(changed))


def test_an_encrypted_entry(tmp_path):
    raw = bytearray(in_zip(RIGHT))
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    refused(tmp_path / "a.ckpt", bytes(raw), match="encrypted")


# The old format


def test_the_old_format_in_disorder(tmp_path):
    right = whole(RIGHT)
    path = tmp_path / "a.th"
    refused(path, legacy_bytes(right, version=1002), match="format 1002")
    refused(path, legacy_bytes(right, keys=(), counts=(), raw=()), match="list of storages")
    refused(path, legacy_bytes(right, keys=("1",)), match="list of storages")
    refused(path, legacy_bytes(right, keys=("0", "0"), counts=(12, 12), raw=(RAW, RAW)), match="list of storages")
    refused(path, legacy_bytes(right, counts=(11,)), match="11 elements")
    refused(path, legacy_bytes(right, counts=(-1,)), match="-1 elements")
    refused(path, legacy_bytes(right, counts=(1 << 62,)), match="elements")
    refused(path, legacy_bytes(right, raw=(RAW[:-1],)), match="truncated")
    refused(path, legacy_bytes(right, raw=(RAW + b"x",)), match="follow")
    refused(path, pickle.dumps({"a": np.zeros(3)}, 2) + b"x", match="something behind")


def test_a_view_that_reaches_out_of_its_storage(tmp_path):
    parts = text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + number(12)
    view = pickle.MARK + text("v") + number(8) + number(5) + pickle.TUPLE
    reference = pickle.MARK + parts + view + pickle.TUPLE + pickle.BINPERSID
    made = call(
        "torch._utils", "_rebuild_tensor", reference, number(0), number(5) + pickle.TUPLE1, number(1) + pickle.TUPLE1
    )
    refused(tmp_path / "a.th", legacy_bytes(whole(dictionary(w=made))), match="view")


# Other formats


def header(entries, data=bytes(48)):
    raw = json.dumps(entries).encode()
    return struct.pack("<Q", len(raw)) + raw + data


F32 = {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}


@pytest.mark.parametrize(
    "raw",
    [
        b"\x10\x00\x00\x00\x00\x00\x00\x00{",
        struct.pack("<Q", 1 << 62) + b"{}",
        header({"w": {**F32, "data_offsets": [0, 96]}}),
        header({"w": {**F32, "data_offsets": [48, 0]}}),
        header({"w": {**F32, "data_offsets": [-48, 0]}}),
        header({"w": {**F32, "shape": [3, 5]}}),
        header({"w": {**F32, "shape": [-3, -4]}}),
        header({"w": {**F32, "shape": [1 << 62, 1 << 62]}}),
        header({"w": {**F32, "dtype": "OBJECT"}}),
        header({"a": F32, "b": F32}),
        header({"w": F32}, bytes(40)),
        header({"w": F32}, bytes(60)),
        header({"w": 3}),
        struct.pack("<Q", 2) + b"[]",
    ],
)
def test_broken_safetensors(tmp_path, raw):
    refused(tmp_path / "a.safetensors", raw)


def model_with(initialiser):
    node = onnx.helper.make_node("Identity", [initialiser.name], ["y"])
    graph = onnx.helper.make_graph([node], "g", [], [onnx.helper.make_tensor_value_info("y", 1, None)], [initialiser])
    return onnx.helper.make_model(graph)


@pytest.mark.parametrize(
    ("location", "offset", "length"),
    [
        ("../secret", "0", "48"),
        ("/etc/passwd", "0", "48"),
        ("sub/weights", "0", "48"),
        ("missing", "0", "48"),
        ("link", "0", "48"),
        ("..", "0", "48"),
        ("", "0", "48"),
        ("weights", "-1", "48"),
        ("weights", "1", "48"),
        ("weights", "0", "4800"),
        ("weights", "9" * 30, "48"),
        ("weights", "x", "48"),
    ],
)
def test_onnx_weights_elsewhere(tmp_path, location, offset, length):
    (tmp_path / "weights").write_bytes(RAW)
    (tmp_path / "link").symlink_to(tmp_path / "weights")
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[3, 4], data_location=1)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=value)
    refused(tmp_path / "a.onnx", model_with(tensor).SerializeToString())


def test_broken_onnx(tmp_path):
    path = tmp_path / "a.onnx"
    refused(path, model_with(onnx.TensorProto(name="w", data_type=1, dims=[3], raw_data=bytes(8))).SerializeToString())
    refused(path, model_with(onnx.TensorProto(name="w", data_type=1, dims=[-3], raw_data=bytes(8))).SerializeToString())
    refused(
        path, model_with(onnx.TensorProto(name="w", data_type=8, dims=[1])).SerializeToString(), match="data type 8"
    )
    refused(path, model_with(onnx.TensorProto(name="w", data_type=1, dims=[1 << 40, 1 << 40])).SerializeToString())
    refused(path, b"\x08\x07", match="not an ONNX file")
    refused(path, b"nothing of the kind", match="not an ONNX file")


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"", "empty"),
        (b"RIFF....WAVE", "not a checkpoint"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\x1f\x8b\x08" + bytes(30), "gzip"),
        (b"\x80", "damaged"),
        (b"PK\x03\x04", "truncated"),
    ],
)
def test_files_that_are_something_else(tmp_path, raw, match):
    refused(tmp_path / "a.ckpt", raw, match=match)


def test_what_is_not_a_file(tmp_path):
    for path in (tmp_path, tmp_path / "missing.ckpt"):
        with pytest.raises(CheckpointError, match="no file"):
            read_tensors(path)


# Fuzzing: whatever is done to the bytes, the answer is the right arrays or a CheckpointError.


def files():
    arrays = {"w": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.arange(12, dtype=np.float32)}
    table = whole(dictionary(w=tensor((3, 4), (4, 1)), b=tensor((12,), (1,)), step=number(3)))
    graph = model_with(onnx.numpy_helper.from_array(arrays["w"], "w"))
    return {
        "zip": zip_bytes(table, {"0": RAW}),
        "legacy": legacy_bytes(table, raw=(RAW,)),
        "pickle": pickle.dumps(arrays, 2),
        "safetensors": safetensors.numpy.save(arrays, {"note": "x"}),
        "onnx": graph.SerializeToString(),
    }


FILES = files()


def answer(path, raw):
    path.write_bytes(raw)
    try:
        return read_all(path)
    except CheckpointError:
        return None


@pytest.mark.parametrize("kind", FILES)
def test_every_truncation_is_refused(tmp_path, kind):
    for length in range(0, len(FILES[kind]), 1 if kind != "zip" else 3):
        if kind == "onnx" and length > len(FILES[kind]) - 20:
            continue  # what stands at the end is not needed
        assert answer(tmp_path / "a.bin", FILES[kind][:length]) is None, length


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("seed", range(3))
def test_changed_bytes_never_raise_anything_else(tmp_path, kind, seed):
    chance = random.Random(f"{kind} {seed}")
    for _ in range(200):
        raw = bytearray(FILES[kind])
        for _ in range(chance.choice((1, 1, 2, 8))):
            raw[chance.randrange(len(raw))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        answer(tmp_path / "a.bin", bytes(raw))


@pytest.mark.parametrize("seed", range(3))
def test_random_instructions_never_raise_anything_else(tmp_path, seed):
    chance = random.Random(seed)
    opcodes = [
        pickle.MARK, pickle.POP, pickle.POP_MARK, pickle.DUP, pickle.NONE, pickle.EMPTY_DICT, pickle.EMPTY_LIST,
        pickle.EMPTY_TUPLE, pickle.EMPTY_SET, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.APPEND,
        pickle.APPENDS, pickle.SETITEM, pickle.SETITEMS, pickle.ADDITEMS, pickle.FROZENSET, pickle.REDUCE,
        pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.BUILD, pickle.BINPERSID, pickle.MEMOIZE, pickle.BINGET + b"\x00",
        pickle.BINPUT + b"\x00", text("storage"), text("0"), number(3), number(-1), storage(12), RIGHT,
        name("torch._utils", "_rebuild_tensor_v2"), name("collections", "OrderedDict"), name("numpy", "dtype"),
        name("numpy.core.multiarray", "_reconstruct"), name("omegaconf", "X"), name("argparse", "Namespace"),
        name("fractions", "Fraction"), name("torch", "Size"), name("_codecs", "encode"), name("numpy", "ndarray"),
    ]  # fmt: skip
    for _ in range(1000):
        table = b"".join(chance.choice(opcodes) for _ in range(chance.randrange(1, 40)))
        answer(tmp_path / "a.bin", in_zip(table))
