import dataclasses

import numpy as np
import pytest

from tests.helpers.bundles import write_bundle
from unweave.errors import CheckpointError
from unweave.models.tf_checkpoint import TensorBundle, masked_crc32c

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
