import dataclasses
import struct

import numpy as np
import pytest

from tests.helpers.bundles import block, field, varint, write_bundle
from unweave.errors import CheckpointError
from unweave.models.tf_checkpoint import LONGEST_NAME, TABLE_MAGIC, TensorBundle, masked_crc32c

RANDOM = np.random.default_rng(0)
ARRAYS = {
    **{f"layer_{k}/kernel": RANDOM.standard_normal((3, k + 1)).astype(np.float32) for k in range(50)},
    "step": np.array(7, np.int64),
    "double": RANDOM.standard_normal(5),
    "half": RANDOM.standard_normal((2, 2)).astype(np.float16),
    "empty": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def prefix(tmp_path):
    write_bundle(tmp_path / "model", ARRAYS)
    return tmp_path / "model"


def test_every_tensor_comes_back(prefix):
    bundle = TensorBundle(prefix)
    assert sorted(bundle) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert bundle[name].dtype == array.dtype
        np.testing.assert_array_equal(bundle[name], array)


def test_missing_index(tmp_path):
    with pytest.raises(CheckpointError, match="cannot read checkpoint index"):
        TensorBundle(tmp_path / "model")


def test_missing_data(prefix):
    prefix.with_name("model.data-00000-of-00001").unlink()
    with pytest.raises(CheckpointError, match="cannot read checkpoint data"):
        TensorBundle(prefix)["step"]


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a table at all" * 10])
def test_foreign_index(prefix, content):
    prefix.with_name("model.index").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.index"):
        TensorBundle(prefix)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_truncated_index(prefix, keep):
    path = prefix.with_name("model.index")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])
    with pytest.raises(CheckpointError):
        TensorBundle(prefix)


@pytest.mark.parametrize("seed", range(30))
def test_any_flipped_byte_in_the_index_is_noticed(prefix, seed):
    path = prefix.with_name("model.index")
    raw = bytearray(path.read_bytes())
    raw[np.random.default_rng(seed).integers(len(raw) - 48)] ^= 0x55
    path.write_bytes(raw)
    try:
        bundle = TensorBundle(prefix)
    except CheckpointError:
        return
    # What is left are the trailers' and footer's own spare bytes: everything that is read must be right.
    for name in bundle:
        np.testing.assert_array_equal(bundle[name], ARRAYS[name])


def test_truncated_data(prefix):
    path = prefix.with_name("model.data-00000-of-00001")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="truncated"):
        [TensorBundle(prefix)[name] for name in ARRAYS]


def test_corrupted_data(prefix):
    path = prefix.with_name("model.data-00000-of-00001")
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="checksum"):
        [TensorBundle(prefix)[name] for name in ARRAYS]


@pytest.mark.parametrize(
    "change", [{"offset": 1 << 62}, {"size": 1 << 62}, {"size": 3}, {"shard": 10**9}, {"shape": (-1,)}]
)
def test_an_index_that_asks_for_what_is_not_there_is_one_line(prefix, change):
    """Nothing is reserved for sizes that only the index claims."""
    bundle = TensorBundle(prefix)
    for name, entry in bundle._entries.items():
        bundle._entries[name] = dataclasses.replace(entry, **change)
    for name in bundle:
        with pytest.raises(CheckpointError) as caught:
            bundle[name]
        assert "\n" not in str(caught.value)


def sealed(content):
    return content + b"\0" + struct.pack("<I", masked_crc32c(content + b"\0"))


def write_index(prefix, content, n_times=1):
    """An index of one block, which is named ``n_times``."""
    handles = block([(b"%06d" % number, varint(0) + varint(len(content))) for number in range(n_times)])
    raw = sealed(content)
    footer = varint(0) + varint(0) + varint(len(raw)) + varint(len(handles))
    footer = footer.ljust(40, b"\0") + struct.pack("<Q", TABLE_MAGIC)
    prefix.with_name("model.index").write_bytes(raw + sealed(handles) + footer)


FLOAT = field(1, 0, varint(1))


@pytest.mark.parametrize(
    ("content", "n_times", "message"),
    [
        # A number of a million bits takes a million steps of as many.
        (block([(b"a", b"\x08" + b"\xff" * 1000 + b"\0")]), 1, "more than 64 bits"),
        # Thousands of names of a megabyte each, of which a few bytes are in the file.
        (block([(b"x" * (LONGEST_NAME + 1), FLOAT)]), 1, "a name has more than 1000 bytes"),
        (block([(b"x" * LONGEST_NAME, FLOAT), (b"x" * LONGEST_NAME + b"y", FLOAT)]), 1, "a name has more than 1000"),
        # Every time it is read again.
        (block([(b"a" * 100, FLOAT)]), 1000, "again and again"),
    ],
)
def test_an_index_that_is_made_to_keep_a_program_busy(tmp_path, content, n_times, message):
    write_index(tmp_path / "model", content, n_times)
    with pytest.raises(CheckpointError, match=message):
        TensorBundle(tmp_path / "model")


def test_names_and_numbers_at_the_limit(tmp_path):
    lowest = field(1, 0, varint((1 << 64) - 1))  # -1, as protocol buffers write it
    name = b"x" * LONGEST_NAME
    write_index(tmp_path / "model", block([(name, FLOAT + field(2, 2, field(2, 2, lowest)))]))
    assert TensorBundle(tmp_path / "model").entry(name.decode()).shape == ((1 << 64) - 1,)


def test_bytes_that_are_no_whole_number_of_values(prefix):
    bundle = TensorBundle(prefix)
    raw = prefix.with_name("model.data-00000-of-00001").read_bytes()[:3]
    name = next(name for name in bundle if bundle.entry(name).dtype == "<f4")
    bundle._entries[name] = dataclasses.replace(bundle.entry(name), offset=0, size=3, crc=masked_crc32c(raw))
    with pytest.raises(CheckpointError, match="not a whole number"):
        bundle[name]


def test_the_checksum_is_tensorflows():
    """CRC32C of "123456789" is 0xE3069283 (RFC 3720); masked, it is rotated by 15 bits, and 0xA282EAD8 is added."""
    assert masked_crc32c(b"123456789") == 0xC78AB0E5
    assert masked_crc32c(b"") == 0xA282EAD8
