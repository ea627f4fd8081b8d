"""The names a checkpoint may mention, and what each of them becomes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import cast

import numpy as np

from unweave.errors import CheckpointError
from unweave.models.checkpoints.storages import ELEMENTS, NEW_TYPES, StorageReference, TensorReference
from unweave.models.checkpoints.tensors import check_shape, shown
from unweave.models.checkpoints.values import Name, Record

NUMPY = ("numpy.core", "numpy._core")
ARRAY_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16)")
FRACTION = re.compile(r"-?\d{1,30}(/\d{1,30})?")

# Classes that are only ever mentioned: the network's class in Demucs' packages, data types, the kind of a default.
LABELS = {
    "demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs", "demucs.demucs.Demucs", "demucs.model.Demucs",
    "demucs.tasnet.ConvTasNet", "demucs.tasnet_v2.ConvTasNet",
    "torch.Tensor", "torch.nn.parameter.Parameter", "numpy.ndarray", "typing.Any", "typing.Union",
    *(f"torch.{name}" for name in (
        "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64",
        "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128",
    )),
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in (
        "int", "float", "str", "bool", "tuple", "list", "dict", "object", "complex", "long", "unicode",
    )),
    *ELEMENTS,
}  # fmt: skip
# Classes that hold settings, or what a trainer notes. They are kept as a `Record` of their name and contents.
RECORDS = {
    "argparse.Namespace", "types.SimpleNamespace", "collections.defaultdict", "torch.device",
    "collections.Counter", "collections.deque",  # of the steps of MultiStepLR; of the latest losses
    "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone",
    "torch.torch_version.TorchVersion",
    "pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath",
    "pathlib._local.PosixPath", "pathlib._local.WindowsPath", "pathlib._local.Path",
}  # fmt: skip
RECORD_FAMILIES = ("omegaconf.", "ml_collections.", "pytorch_lightning.", "lightning.", "lightning_fabric.")


class ArrayInTheMaking:
    """An array between NumPy's two steps: first named, then given its shape and bytes.

    A pickle that holds the array several times refers to this, also when ``array`` has long been made.
    """

    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None = None


class TypeInTheMaking:
    """A NumPy data type, whose byte order comes in a second step."""

    def __init__(self, dtype: np.dtype[np.generic]) -> None:
        self.dtype = dtype


class Builders:
    """Builds what pickles ask for, from checked arguments. ``budget_bytes`` limits how many bytes strings become."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes

    def call(self, function: object, arguments: object) -> object:
        """The value of ``function(*arguments)``. Raises `CheckpointError` for what may not be called."""
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise CheckpointError("the pickle calls something that is not a function")
        path = function.path
        if path in CALLS:
            return CALLS[path](self, arguments)
        if path in RECORDS or path.startswith(RECORD_FAMILIES):
            return Record(path, arguments)
        raise CheckpointError(f"it tries to create a {shown(path)}, which does not belong in a file of weights")

    def build(self, target: object, state: object) -> object:
        """``target`` given its ``state``; raises `CheckpointError` for what has none."""
        if isinstance(target, ArrayInTheMaking):
            target.array = _array(state)
            return target.array
        if isinstance(target, TypeInTheMaking):
            _set_byte_order(target, state)
            return target
        if isinstance(target, Record):
            target.state = state
            return target
        if isinstance(target, dict) and isinstance(state, dict):
            return target  # PyTorch's version numbers in the attributes of an OrderedDict
        if isinstance(target, TensorReference):
            return target  # attributes that somebody gave a tensor
        raise CheckpointError("the pickle sets the attributes of something that has none")

    def encoded(self, arguments: tuple[object, ...]) -> bytes:
        """``_codecs.encode``: protocol 2 writes bytes as text."""
        if len(arguments) != 2 or arguments[1] not in ("latin1", "latin-1") or not isinstance(arguments[0], str):
            raise CheckpointError("the pickle encodes text with something other than latin-1")
        self._budget_bytes -= len(arguments[0])
        if self._budget_bytes < 0:
            raise CheckpointError("the pickle expands to more bytes than it has")
        return arguments[0].encode("latin-1")


def is_known(path: str) -> bool:
    """Whether a checkpoint may mention ``path``, written "module.name"."""
    return path in CALLS or path in LABELS or path in RECORDS or path.startswith(RECORD_FAMILIES)


def _ordered_dict(_: Builders, arguments: tuple[object, ...]) -> object:
    if not arguments:
        return {}
    if len(arguments) == 1 and isinstance(arguments[0], list):  # Python 2 writes the items as a list of pairs
        pairs = arguments[0]
        if all(isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
            return {pair[0]: pair[1] for pair in pairs}
    raise CheckpointError("the pickle makes a dictionary from something other than pairs")


def _list(_: Builders, arguments: tuple[object, ...]) -> object:
    if len(arguments) == 1 and isinstance(arguments[0], list | tuple):
        return list(arguments[0])
    if not arguments:
        return []
    raise CheckpointError("the pickle makes a set from something other than a list")


def _no_bytes(_: Builders, arguments: tuple[object, ...]) -> object:
    if arguments:
        raise CheckpointError("the pickle makes bytes from something else")
    return b""


def _fraction(_: Builders, arguments: tuple[object, ...]) -> object:
    parts = "/".join(str(part) if isinstance(part, int | str) else "?" for part in arguments)
    if not FRACTION.fullmatch(parts) or re.search(r"/0*$", parts):
        raise CheckpointError(f"{shown(parts)} is not a fraction")
    return Fraction(parts)


def _size(_: Builders, arguments: tuple[object, ...]) -> object:
    (sizes,) = arguments
    if not isinstance(sizes, list | tuple):
        raise CheckpointError("a torch.Size contains something other than numbers")
    return tuple(sizes)


def _tensor(_: Builders, arguments: tuple[object, ...]) -> object:
    """``torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])``."""
    if len(arguments) < 4:
        raise CheckpointError("a tensor lacks its storage, offset, size or stride")
    storage, offset, shape, stride = arguments[:4]
    return _reference(storage, offset, shape, stride)


def _tensor_with_dtype(_: Builders, arguments: tuple[object, ...]) -> object:
    """``_rebuild_tensor_v3``: its storage is bytes, and its type stands behind."""
    if len(arguments) < 7 or not isinstance(arguments[6], Name):
        raise CheckpointError("a tensor lacks its type")
    storage = arguments[0]
    element = NEW_TYPES.get(arguments[6].path)
    if element is None:
        raise CheckpointError(f"a tensor has the type {shown(arguments[6].path)}, which is not supported")
    if (
        not isinstance(storage, StorageReference)
        or storage.element.n_bytes != 1
        or storage.n_elements % element.n_bytes
    ):
        raise CheckpointError("a tensor has a storage of another type")
    return _reference(storage.seen_as(element), *arguments[1:4])


def _reference(storage: object, offset: object, shape: object, stride: object) -> TensorReference:
    if not isinstance(storage, StorageReference):
        raise CheckpointError("a tensor has no storage")
    if not isinstance(shape, list | tuple) or not isinstance(stride, list | tuple) or not _is_count(offset):
        raise CheckpointError("a tensor's shape, stride or offset is not a number")
    if len(shape) != len(stride) or not all(_is_count(number) for number in (*shape, *stride)):
        raise CheckpointError(
            f"a tensor has the impossible shape {shown(tuple(shape))} or stride {shown(tuple(stride))}"
        )
    return TensorReference(storage, cast(int, offset), tuple(shape), tuple(stride))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _parameter(_: Builders, arguments: tuple[object, ...]) -> object:
    if not arguments or not isinstance(arguments[0], TensorReference):
        raise CheckpointError("a parameter is not a tensor")
    return arguments[0]


def _tensor_of_type(builders: Builders, arguments: tuple[object, ...]) -> object:
    """``torch._tensor._rebuild_from_type_v2(function, type, arguments, state)``: a tensor with attributes."""
    if len(arguments) != 4 or not isinstance(arguments[1], Name):
        raise CheckpointError("a tensor with attributes is damaged")
    made = builders.call(arguments[0], arguments[2])
    if not isinstance(made, TensorReference):
        raise CheckpointError(f"it tries to create a {shown(arguments[1].path)} from something other than a tensor")
    return made


def _array_begun(_: Builders, arguments: tuple[object, ...]) -> object:
    if len(arguments) != 3 or arguments[0] != Name("numpy.ndarray") or arguments[1] != (0,):
        raise CheckpointError("a NumPy array begins in an unknown way")
    return ArrayInTheMaking()


def _array(state: object) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    if not isinstance(state, tuple) or len(state) != 5:
        raise CheckpointError("a NumPy array is damaged")
    _, shape, kind, is_fortran, raw = state
    return _from_bytes(raw, kind, shape, "F" if is_fortran is True else "C")


def _array_from_buffer(_: Builders, arguments: tuple[object, ...]) -> object:
    if len(arguments) != 4 or arguments[3] not in ("C", "F"):
        raise CheckpointError("a NumPy array is damaged")
    raw, kind, shape, order = arguments
    return _from_bytes(raw, kind, shape, cast(str, order))


def _scalar(_: Builders, arguments: tuple[object, ...]) -> object:
    if len(arguments) != 2:
        raise CheckpointError("a NumPy number is damaged")
    return _from_bytes(arguments[1], arguments[0], (), "C")[()]


def _from_bytes(
    raw: object, kind: object, shape: object, order: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # Python 2
    if not isinstance(kind, TypeInTheMaking) or not isinstance(raw, bytes) or not isinstance(shape, tuple):
        raise CheckpointError("a NumPy array lacks its type, bytes or shape")
    check_shape("a NumPy array", shape)
    if math.prod(shape) * kind.dtype.itemsize != len(raw):
        raise CheckpointError(f"a NumPy array of shape {shown(shape)} has {len(raw)} bytes")
    array = np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if order == "F" else "C")
    return array.astype(kind.dtype.newbyteorder("="), copy=False)


def _dtype(_: Builders, arguments: tuple[object, ...]) -> object:
    if not arguments or not isinstance(arguments[0], str) or not ARRAY_TYPE.fullmatch(arguments[0]):
        what = shown(arguments[0]) if arguments else "nothing"
        raise CheckpointError(f"a NumPy array has the type {what}, which is not supported")
    return TypeInTheMaking(np.dtype(arguments[0]))


def _set_byte_order(target: TypeInTheMaking, state: object) -> None:
    if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "|", "=") or any(state[2:5]):
        raise CheckpointError("a NumPy array has a type that is not supported")
    target.dtype = target.dtype.newbyteorder(state[1])


CALLS: dict[str, Callable[[Builders, tuple[object, ...]], object]] = {
    "collections.OrderedDict": _ordered_dict,
    "_codecs.encode": Builders.encoded,
    "fractions.Fraction": _fraction,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_with_dtype,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _tensor_of_type,
    "numpy.dtype": _dtype,
    **{f"{numpy}.multiarray._reconstruct": _array_begun for numpy in NUMPY},
    **{f"{numpy}.multiarray.scalar": _scalar for numpy in NUMPY},
    **{f"{numpy}.numeric._frombuffer": _array_from_buffer for numpy in NUMPY},
    **{f"{module}.{name}": _list for module in ("builtins", "__builtin__") for name in ("set", "frozenset")},
    **{f"{module}.{name}": _no_bytes for module in ("builtins", "__builtin__") for name in ("bytes", "bytearray")},
}
