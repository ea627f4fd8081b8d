"""Files that are legal and rare: what only old versions of PyTorch and Python wrote."""

import pickle

import numpy as np
import pytest

from tests.helpers.torch_files import dictionary, legacy_bytes, name, number, tensor, text, whole, zip_bytes
from unweave.errors import CheckpointError
from unweave.models.checkpoints import read_tensors


def with_a_view(start, n_elements, shape):
    """A file as PyTorch 0.2 wrote it: ``w`` lies in the part of a storage of 0 … 11 that begins at ``start``."""
    parts = text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + number(12)
    view = pickle.MARK + text("v") + number(start) + number(n_elements) + pickle.TUPLE
    reference = pickle.MARK + parts + view + pickle.TUPLE + pickle.BINPERSID
    arguments = reference + number(0) + number(shape) + pickle.TUPLE1 + number(1) + pickle.TUPLE1
    made = name("torch._utils", "_rebuild_tensor") + pickle.MARK + arguments + pickle.TUPLE + pickle.REDUCE
    return legacy_bytes(whole(dictionary(w=made)), raw=(np.arange(12, dtype=np.float32).tobytes(),))


@pytest.mark.parametrize(("start", "n_elements", "expected"), [(8, 4, [8, 9, 10, 11]), (0, 12, range(12)), (3, 1, [3])])
def test_a_part_of_a_storage(tmp_path, start, n_elements, expected):
    (tmp_path / "a.th").write_bytes(with_a_view(start, n_elements, n_elements))
    np.testing.assert_array_equal(read_tensors(tmp_path / "a.th").tensors["w"], list(expected))


def test_a_part_of_a_storage_ends_where_it_ends(tmp_path):
    (tmp_path / "a.th").write_bytes(with_a_view(3, 4, 5))
    with pytest.raises(CheckpointError, match="reaches out of its storage"):
        read_tensors(tmp_path / "a.th")


def test_truth_values_are_any_byte_but_zero(tmp_path):
    table = whole(dictionary(w=tensor((3,), (1,), n_elements=3, kind="BoolStorage")))
    (tmp_path / "a.ckpt").write_bytes(zip_bytes(table, {"0": b"\0\1\2"}))
    values = read_tensors(tmp_path / "a.ckpt").tensors["w"]
    assert values.dtype == bool
    np.testing.assert_array_equal(values.view(np.uint8), [0, 1, 1])


def test_instructions_that_only_old_pickles_have(tmp_path):
    """Lists and dictionaries from what lies above a mark, values taken off, doubled, and kept under long numbers."""
    one, two = number(1), number(2)
    listed = pickle.MARK + one + two + pickle.LIST
    paired = pickle.MARK + text("a") + one + text("b") + two + pickle.DICT
    kept = one + pickle.LONG_BINPUT + b"\0\1\0\0" + pickle.POP + two + pickle.POP + pickle.LONG_BINGET + b"\0\1\0\0"
    doubled = two + pickle.DUP + pickle.TUPLE2
    forgotten = pickle.MARK + one + two + pickle.POP_MARK + one + pickle.MARK + pickle.POP
    values = {"listed": listed, "paired": paired, "kept": kept, "doubled": doubled, "forgotten": forgotten}
    values["three"] = one + two + pickle.NONE + pickle.TUPLE3
    (tmp_path / "a.ckpt").write_bytes(
        zip_bytes(whole(dictionary(w=tensor((3, 4), (4, 1)), **values)), {"0": bytes(48)})
    )
    assert read_tensors(tmp_path / "a.ckpt").configuration == {
        "listed": [1, 2],
        "paired": {"a": 1, "b": 2},
        "kept": 1,
        "doubled": (2, 2),
        "forgotten": 1,
        "three": (1, 2, None),
    }
