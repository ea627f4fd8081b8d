"""Read TensorFlow "tensor bundle" checkpoints with NumPy alone.

A bundle is an index file (``model.index``) and data shards (``model.data-00000-of-00001``). The index is a
LevelDB-style table: blocks of key–value records with prefix-compressed keys, closed by a footer with a magic number.
Each value is a ``BundleEntryProto``: dtype, shape, shard, offset, size and the masked CRC32C of the tensor's bytes.
Format: LevelDB's ``doc/table_format.md`` and TensorFlow's ``tensor_bundle.proto``.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from unweave.errors import CheckpointError

TABLE_MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
BLOCK_TRAILER_BYTES = 5  # compression type (1) + masked CRC32C (4)
CRC_MASK_DELTA = 0xA282EAD8
LARGEST_INDEX = 1 << 24  # bytes: a hundred thousand variables
LONGEST_NAME = 1000  # bytes; each may begin as the one before it does, so that a few bytes make another long one
LARGEST_SHIFT = 63  # of a number of 64 bits, seven at a time

# TensorFlow's DataType numbers that a model's variables can have.
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "<u1", 9: "<i8", 19: "<f2"}


@dataclass(frozen=True)
class BundleEntry:
    """Where one tensor lies in the bundle."""

    dtype: str  # NumPy's name, little-endian
    shape: tuple[int, ...]
    shard: int
    offset: int  # bytes from the start of the shard
    size: int  # bytes
    crc: int  # masked CRC32C of the tensor's bytes


class TensorBundle(Mapping[str, npt.NDArray[np.generic]]):
    """A checkpoint as a mapping from variable name to array; arrays are read, and their CRC checked, on access.

    ``prefix`` is the path without ``.index``: ``…/model`` for ``…/model.index``. Raises `CheckpointError` for a file
    that is missing, truncated, corrupted, or not a tensor bundle.
    """

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix
        index_path = prefix.with_name(prefix.name + ".index")
        try:
            with index_path.open("rb") as file:
                raw = file.read(LARGEST_INDEX + 1)
        except OSError as error:
            raise CheckpointError(f"cannot read checkpoint index {index_path}: {error.strerror}") from error
        if len(raw) > LARGEST_INDEX:
            raise CheckpointError(f"{index_path} is larger than the index of any model")
        try:
            self._entries, self._n_shards = _parse_index(raw)
        except CheckpointError as error:
            raise CheckpointError(f"{index_path}: {error}") from None
        except (IndexError, struct.error, ValueError, KeyError) as error:
            raise CheckpointError(f"{index_path}: the index is damaged ({error})") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def entry(self, name: str) -> BundleEntry:
        """Where the tensor ``name`` lies, without reading it."""
        return self._entries[name]

    def __getitem__(self, name: str) -> npt.NDArray[np.generic]:
        entry = self._entries[name]
        path = self._shard_path(entry.shard)
        try:
            with path.open("rb") as file:
                # A damaged or malicious index must not make us reserve memory for what is not there.
                is_inside = entry.offset + entry.size <= os.fstat(file.fileno()).st_size
                file.seek(entry.offset if is_inside else 0)
                raw = file.read(entry.size) if is_inside else b""
        except OSError as error:
            raise CheckpointError(f"cannot read checkpoint data {path}: {error.strerror}") from error
        if len(raw) != entry.size or not is_inside:
            raise CheckpointError(
                f"{path} is truncated: {name} needs bytes {entry.offset} to {entry.offset + entry.size}"
            )
        if masked_crc32c(raw) != entry.crc:
            raise CheckpointError(f"{path} is corrupted: the checksum of {name} does not match")
        expected = math.prod(entry.shape)
        if len(raw) % np.dtype(entry.dtype).itemsize:
            raise CheckpointError(f"{path}: {name} has {len(raw)} bytes, which is not a whole number of {entry.dtype}")
        array: npt.NDArray[np.generic] = np.frombuffer(raw, dtype=entry.dtype)
        if array.size != expected:
            raise CheckpointError(f"{path}: {name} has {array.size} values, its shape {entry.shape} needs {expected}")
        return array.reshape(entry.shape)

    def _shard_path(self, shard: int) -> Path:
        return self._prefix.with_name(f"{self._prefix.name}.data-{shard:05d}-of-{self._n_shards:05d}")


def masked_crc32c(data: bytes) -> int:
    """CRC32C of ``data``, rotated and offset as LevelDB and TensorFlow store it."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + CRC_MASK_DELTA) & 0xFFFFFFFF


def _parse_index(raw: bytes) -> tuple[dict[str, BundleEntry], int]:
    if len(raw) < FOOTER_BYTES:
        raise CheckpointError(f"too short for a tensor bundle index ({len(raw)} bytes)")
    footer = raw[-FOOTER_BYTES:]
    (magic,) = struct.unpack_from("<Q", footer, FOOTER_BYTES - 8)
    if magic != TABLE_MAGIC:
        raise CheckpointError("not a tensor bundle index, or truncated (wrong magic number at its end)")
    position = _skip_handle(footer, 0)  # the metaindex block is not used by TensorFlow
    index_handle, _ = _read_handle(footer, position)
    entries: dict[str, BundleEntry] = {}
    n_shards, n_read = 1, 0
    for _, handle in _block_records(_read_block(raw, *index_handle)):
        data_handle, _ = _read_handle(handle, 0)
        n_read += data_handle[1]
        if n_read > len(raw):
            raise CheckpointError("the index is damaged (it names the same block again and again)")
        for key, value in _block_records(_read_block(raw, *data_handle)):
            if key == b"":  # BundleHeaderProto
                header = _Message(value)
                n_shards = header.integer(1, default=1)
                if header.integer(2) != 0:
                    raise CheckpointError("big-endian tensor bundles are not supported")
            else:
                entries[key.decode()] = _parse_entry(key.decode(), value)
    return entries, n_shards


def _read_block(raw: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + BLOCK_TRAILER_BYTES > len(raw):
        raise CheckpointError("the index is truncated (a block lies past its end)")
    (stored,) = struct.unpack_from("<I", raw, end + 1)
    if masked_crc32c(raw[offset : end + 1]) != stored:
        raise CheckpointError("the index is corrupted (a block's checksum does not match)")
    if raw[end] != 0:
        raise CheckpointError(f"the index is compressed (type {raw[end]}), which TensorFlow does not write")
    return raw[offset:end]


def _block_records(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key–value records of a table block; each key shares a prefix with the one before it."""
    (n_restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 - 4 * n_restarts
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        value_size, position = _varint(block, position)
        if min(shared, len(key)) + unshared > LONGEST_NAME:
            raise CheckpointError(f"the index is damaged (a name has more than {LONGEST_NAME} bytes)")
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + value_size]
        position += value_size


def _parse_entry(name: str, raw: bytes) -> BundleEntry:
    entry = _Message(raw)
    number = entry.integer(1)
    if number not in DTYPES:
        raise CheckpointError(f"{name} has TensorFlow's data type {number}, which no model here uses")
    if entry.nested(7):
        raise CheckpointError(f"{name} is stored in slices, which is not supported")
    dims = [dim for shape in entry.nested(2) for dim in _Message(shape).nested(2)]
    return BundleEntry(
        dtype=DTYPES[number],
        shape=tuple(_Message(dim).integer(1) for dim in dims),
        shard=entry.integer(3),
        offset=entry.integer(4),
        size=entry.integer(5),
        crc=entry.integer(6),
    )


class _Message:
    """The fields of a protocol-buffers message: numbers by `integer`, nested messages by `nested`."""

    def __init__(self, raw: bytes) -> None:
        self._integers: dict[int, int] = {}
        self._nested: dict[int, list[bytes]] = {}
        position = 0
        while position < len(raw):
            tag, position = _varint(raw, position)
            field, wire = tag >> 3, tag & 7
            if wire == 0:
                self._integers[field], position = _varint(raw, position)
            elif wire == 2:
                size, position = _varint(raw, position)
                self._nested.setdefault(field, []).append(raw[position : position + size])
                position += size
            elif wire == 5:
                (self._integers[field],) = struct.unpack_from("<I", raw, position)
                position += 4
            else:
                raise CheckpointError(f"unknown wire type {wire} in a record")

    def integer(self, field: int, default: int = 0) -> int:
        return self._integers.get(field, default)

    def nested(self, field: int) -> list[bytes]:
        return self._nested.get(field, [])


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    """Decode a base-128 varint; returns (value, next position)."""
    value = shift = 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > LARGEST_SHIFT:
            raise CheckpointError("the index is damaged (a number has more than 64 bits)")


def _read_handle(raw: bytes, position: int) -> tuple[tuple[int, int], int]:
    offset, position = _varint(raw, position)
    size, position = _varint(raw, position)
    return (offset, size), position


def _skip_handle(raw: bytes, position: int) -> int:
    return _read_handle(raw, position)[1]
