"""PyTorch's files made by hand, byte by byte, so that they can be wrong."""

import io
import pickle
import struct
import zipfile

GLOBAL, REDUCE, STOP = pickle.GLOBAL, pickle.REDUCE, pickle.STOP
PROTO = pickle.PROTO + b"\x02"
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


def text(value):
    raw = value.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(raw)) + raw


def number(value):
    return pickle.LONG1 + bytes([16]) + int(value).to_bytes(16, "little", signed=True)


def numbers(values):
    return pickle.MARK + b"".join(map(number, values)) + pickle.TUPLE


def name(module, attribute):
    return GLOBAL + f"{module}\n{attribute}\n".encode()


def storage(n_elements, key="0", kind="FloatStorage"):
    parts = text("storage") + name("torch", kind) + text(key) + text("cpu") + number(n_elements)
    return pickle.MARK + parts + pickle.TUPLE + pickle.BINPERSID


def tensor(shape, stride, offset=0, n_elements=12, **kind):
    arguments = storage(n_elements, **kind) + number(offset) + numbers(shape) + numbers(stride)
    hooks = name("collections", "OrderedDict") + pickle.EMPTY_TUPLE + REDUCE
    arguments = pickle.MARK + arguments + pickle.NEWFALSE + hooks + pickle.TUPLE
    return name("torch._utils", "_rebuild_tensor_v2") + arguments + REDUCE


def dictionary(**items):
    body = b"".join(text(key) + value for key, value in items.items())
    return pickle.EMPTY_DICT + pickle.MARK + body + pickle.SETITEMS


def whole(body):
    return PROTO + body + STOP


def zip_bytes(table, storages=None, *, extra=(), compression=zipfile.ZIP_STORED):
    """A zip file as PyTorch writes it; ``extra`` are more entries (name, bytes)."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", table)
        for key, raw in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", raw)
        archive.writestr("archive/version", b"3\n")
        for entry, raw in extra:
            archive.writestr(entry, raw)
    return stream.getvalue()


def legacy_bytes(table, keys=("0",), counts=(12,), raw=(bytes(48),), *, magic=MAGIC, version=VERSION, little=True):
    system = {"protocol_version": VERSION, "little_endian": little, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(part, 2) for part in (magic, version, system))
    tail = b"".join(struct.pack("<q", count) + block for count, block in zip(counts, raw, strict=True))
    return head + table + pickle.dumps(list(keys), 2) + tail
