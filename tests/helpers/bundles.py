"""Write TensorFlow tensor bundles, in the layout that the reader is to read."""

import struct
from pathlib import Path

import numpy as np

from unweave.models.tf_checkpoint import DTYPES, TABLE_MAGIC, masked_crc32c

NUMBERS = {name: number for number, name in DTYPES.items()}
RECORDS_PER_BLOCK = 16
RESTART_EVERY = 4


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, wire, payload):
    head = varint(number << 3 | wire)
    return head + (varint(len(payload)) + payload if wire == 2 else payload)


def entry(array, offset, raw):
    shape = b"".join(field(2, 2, field(1, 0, varint(size))) for size in array.shape)
    parts = [field(1, 0, varint(NUMBERS[array.dtype.str.replace("|", "<")])), field(2, 2, shape)]
    if offset:
        parts.append(field(4, 0, varint(offset)))
    parts += [field(5, 0, varint(len(raw))), field(6, 5, struct.pack("<I", masked_crc32c(raw)))]
    return b"".join(parts)


def block(records):
    body, restarts, previous = bytearray(), [], b""
    for number, (key, value) in enumerate(records):
        if number % RESTART_EVERY == 0:
            restarts.append(len(body))
            previous = b""
        shared = 0
        while shared < min(len(previous), len(key)) and previous[shared] == key[shared]:
            shared += 1
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    for restart in restarts or [0]:
        body += struct.pack("<I", restart)
    return bytes(body + struct.pack("<I", max(1, len(restarts))))


def write_bundle(prefix: Path, arrays):
    """Write ``arrays`` (name → array) as ``prefix.index`` and one data shard."""
    data, records = bytearray(), [(b"", field(1, 0, varint(1)))]
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        raw = array.tobytes()
        records.append((name.encode(), entry(array, len(data), raw)))
        data += raw
    table, handles = bytearray(), []

    def put(content):
        handle = varint(len(table)) + varint(len(content))
        table.extend(content + b"\0" + struct.pack("<I", masked_crc32c(content + b"\0")))
        return handle

    for start in range(0, len(records), RECORDS_PER_BLOCK):
        part = records[start : start + RECORDS_PER_BLOCK]
        handles.append((part[-1][0], put(block(part))))
    footer = put(block([])) + put(block(handles))
    table += footer + b"\0" * (40 - len(footer)) + struct.pack("<Q", TABLE_MAGIC)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(prefix.name + ".index").write_bytes(table)
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)
