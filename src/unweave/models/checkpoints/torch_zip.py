"""PyTorch's checkpoints since version 1.6: a zip file of one pickle and the raw numbers of each storage.

``NAME/data.pkl`` describes tensors by storage, offset, shape and stride; ``NAME/data/KEY`` holds a storage's bytes,
stored without compression, so that they can be mapped. Format: PyTorch's ``caffe2/serialize/inline_container.h``.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from itertools import pairwise

from unweave.errors import CheckpointError
from unweave.models.checkpoints.pickles import MAX_PICKLE_BYTES, Source, read_pickle
from unweave.models.checkpoints.storages import ELEMENTS, Storage, StorageReference
from unweave.models.checkpoints.tensors import shown
from unweave.models.checkpoints.values import Name

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
LOCAL_MAGIC = b"PK\x03\x04"
MAX_ENTRIES = 1_000_000
ENCRYPTED, UTF_8 = 1, 1 << 11  # bits of an entry's flags


def read_torch_zip(data: memoryview) -> tuple[object, dict[str, Storage]]:
    """The value of the pickle in the zip file ``data``, and its storages by key. Raises `CheckpointError`."""
    archive = _Archive(data)
    archive.check_byte_order()
    storages: dict[str, Storage] = {}

    def persistent(reference: object) -> object:
        storage = storage_reference(reference)
        if storage.key not in storages:
            storages[storage.key] = archive.storage(storage.key)
        if storages[storage.key].n_bytes != storage.n_bytes:
            raise CheckpointError(
                f"the storage {shown(storage.key)} has {storages[storage.key].n_bytes} bytes, "
                f"the table of contents says {storage.n_bytes}"
            )
        return storage

    return read_pickle(Source(archive.table), persistent), storages


def storage_reference(reference: object) -> StorageReference:
    """A storage from its description ("storage", type, key, location, number of elements). Raises `CheckpointError`."""
    if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
        raise CheckpointError("the pickle refers to something outside of it that is no storage")
    _, kind, key, _, n_elements = reference[:5]
    element = ELEMENTS.get(kind.path) if isinstance(kind, Name) else None
    if element is None:
        raise CheckpointError(f"a storage has the type {shown(kind)}, which is not supported")
    if not isinstance(key, str) or not isinstance(n_elements, int) or isinstance(n_elements, bool) or n_elements < 0:
        raise CheckpointError("a storage has no key or an impossible size")
    return StorageReference(key, element, n_elements)


class _Archive:
    """The entries of the zip file, all checked before any is used."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        try:
            with zipfile.ZipFile(_Reader(data)) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise CheckpointError(f"the zip file is truncated or damaged ({error})") from error
        if len(entries) > MAX_ENTRIES:
            raise CheckpointError(f"the zip file has {len(entries)} entries")
        self._places: dict[str, tuple[int, zipfile.ZipInfo]] = {}
        for entry in entries:
            _check_entry(entry)
            if entry.filename in self._places:
                raise CheckpointError(f"the zip file has two entries named {shown(entry.filename)}")
            self._places[entry.filename] = (_start(data, entry), entry)
        self._check_overlaps()
        tables = [name for name in self._places if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(tables) != 1:
            raise CheckpointError("it is a zip file, but not one of PyTorch's: it has no data.pkl, or several")
        self._folder = tables[0].removesuffix("data.pkl")
        if any(name.startswith(f"{self._folder}code/") for name in self._places):
            raise CheckpointError("it is a TorchScript program, not a file of weights")
        if self._places[tables[0]][1].file_size > MAX_PICKLE_BYTES:
            raise CheckpointError(f"its table of contents has {self._places[tables[0]][1].file_size} bytes")
        self.table = self._bytes(tables[0])
        _verify(self.table, self._places[tables[0]][1])

    def check_byte_order(self) -> None:
        """Raises `CheckpointError` for a file of a machine that writes the highest byte first."""
        name = f"{self._folder}byteorder"
        if name in self._places and bytes(self._bytes(name)[:16]) != b"little":
            raise CheckpointError(f"its numbers have the byte order {shown(bytes(self._bytes(name)[:16]))}, not little")

    def storage(self, key: str) -> Storage:
        """The storage ``key``; its checksum is verified when it is read for the first time."""
        name = f"{self._folder}data/{key}"
        if name not in self._places:
            raise CheckpointError(f"the storage {shown(key)} is missing")
        return _CheckedStorage(self._bytes(name), self._places[name][1])

    def _bytes(self, name: str) -> memoryview:
        start, entry = self._places[name]
        return self._data[start : start + entry.file_size]

    def _check_overlaps(self) -> None:
        spans = sorted((start, start + entry.file_size, name) for name, (start, entry) in self._places.items())
        for (_, end, name), (start, _, other) in pairwise(spans):
            if start < end:
                raise CheckpointError(f"the zip entries {shown(name)} and {shown(other)} share bytes")


class _CheckedStorage(Storage):
    """A storage whose checksum is compared once, before its first use."""

    def __init__(self, raw: memoryview, entry: zipfile.ZipInfo) -> None:
        super().__init__(raw)
        self._entry: zipfile.ZipInfo | None = entry

    def raw(self) -> memoryview:
        """The bytes. Raises `CheckpointError` where they are not those that were written."""
        if self._entry is not None:
            _verify(super().raw(), self._entry)
            self._entry = None
        return super().raw()


def _verify(raw: memoryview, entry: zipfile.ZipInfo) -> None:
    # PyTorch can be told to write no checksums; then all of them are 0.
    if entry.CRC and zlib.crc32(raw) != entry.CRC:
        raise CheckpointError(f"{shown(entry.filename)} inside is damaged: its checksum does not match")


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.orig_filename
    if name.startswith("/") or ".." in name.split("/") or any(c in name for c in "\\:\0"):
        raise CheckpointError(f"the zip file has an entry with the dangerous name {shown(name)}")
    if entry.flag_bits & ENCRYPTED:
        raise CheckpointError(f"{shown(name)} inside is encrypted")
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise CheckpointError(f"{shown(name)} inside is compressed, which PyTorch does not do")


def _start(data: memoryview, entry: zipfile.ZipInfo) -> int:
    """Where the bytes of ``entry`` begin: behind its local header, whose length only it knows."""
    start = entry.header_offset
    if not 0 <= start <= len(data) - LOCAL_HEADER.size:
        raise CheckpointError(f"{shown(entry.filename)} lies outside of the file")
    magic, _, _, method, *_, n_name, n_extra = LOCAL_HEADER.unpack_from(data, start)
    begin = start + LOCAL_HEADER.size
    if magic != LOCAL_MAGIC or method != zipfile.ZIP_STORED:
        raise CheckpointError(f"{shown(entry.filename)} has no local header")
    encoding = "utf-8" if entry.flag_bits & UTF_8 else "cp437"
    if bytes(data[begin : begin + n_name]) != entry.orig_filename.encode(encoding):
        raise CheckpointError(f"{shown(entry.filename)} has another name in its local header")
    begin += n_name + n_extra
    if begin + entry.file_size > len(data):
        raise CheckpointError(f"{shown(entry.filename)} reaches beyond the end of the file")
    return int(begin)


class _Reader(io.RawIOBase):
    """The mapped file as a file, for `zipfile`."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        position = offset + (0, self._position, len(self._data))[whence]
        if position < 0:
            raise OSError("before the beginning")
        self._position = position
        return position

    def read(self, size: int | None = -1) -> bytes:
        end = len(self._data) if size is None or size < 0 else self._position + size
        raw = bytes(self._data[self._position : end])
        self._position += len(raw)
        return raw
