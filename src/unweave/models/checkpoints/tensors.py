"""Named arrays, read from their file on demand."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.errors import CheckpointError

Array = npt.NDArray[np.generic]

# What the readers and NumPy raise for damaged files; a MemoryError comes from sizes that only a false header has.
DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    EOFError,
    RecursionError,
    MemoryError,
    struct.error,
)
MAX_DIMENSIONS = 32
# Expanded tensors repeat their values: a few bytes could stand for terabytes. No real checkpoint repeats this much.
MAX_REPETITION = 4
REPETITION_SLACK_BYTES = 1 << 24


@dataclass(frozen=True)
class Tensor:
    """One array of a file, not read yet."""

    shape: tuple[int, ...]
    dtype: str  # the name in NumPy, or "bfloat16", which is given out as float32
    load: Callable[[], Array]

    @property
    def n_bytes(self) -> int:
        """Bytes of the array once it is read."""
        return math.prod(self.shape) * (4 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


class Tensors(Mapping[str, Array]):
    """A mapping from name to array. Arrays are mapped from the file, or read, on access, and must not be written to.

    Names and shapes are known without reading; `CheckpointError` is raised on access where the data are damaged.
    bfloat16 comes as float32, which holds the same values.
    """

    def __init__(self, entries: Mapping[str, Tensor], path: Path) -> None:
        self._entries = dict(entries)
        self._path = path

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> Array:
        entry = self._entries[name]
        try:
            return entry.load()
        except CheckpointError as error:
            raise CheckpointError(f"{self._path}: {error}") from None
        except OSError as error:
            raise CheckpointError(f"cannot read {self._path}: {error.strerror or error}") from error
        except DAMAGE as error:
            raise CheckpointError(f"{self._path}: the data of {shown(name)} are damaged ({_brief(error)})") from error

    @property
    def path(self) -> Path:
        """The file that the arrays are read from."""
        return self._path

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, without reading it."""
        return self._entries[name].shape

    def dtype(self, name: str) -> str:
        """The data type of an array as it is stored, without reading it."""
        return self._entries[name].dtype

    @property
    def n_values(self) -> int:
        """How many numbers all arrays hold together."""
        return sum(math.prod(entry.shape) for entry in self._entries.values())

    @classmethod
    def joined(cls, parts: Mapping[str, Tensors], path: Path) -> Tensors:
        """The arrays of several files under one roof: {prefix of their names: arrays}."""
        entries = {f"{prefix}{name}": entry for prefix, part in parts.items() for name, entry in part._entries.items()}
        return cls(entries, path)

    def close(self) -> None:
        """Let go of the file: there are no arrays afterwards. Windows removes no file that is mapped."""
        self._entries.clear()

    def renamed(self, names: Mapping[str, str]) -> Tensors:
        """The arrays ``names`` lists, under new names: {old: new}."""
        return Tensors({new: self._entries[old] for old, new in names.items()}, self._path)


def check_total(entries: Mapping[str, Tensor], file_bytes: int) -> None:
    """Refuse arrays that are together much larger than their file; raises `CheckpointError`."""
    total = sum(entry.n_bytes for entry in entries.values())
    if total > MAX_REPETITION * file_bytes + REPETITION_SLACK_BYTES:
        raise CheckpointError(f"the arrays would take {total} bytes, but the file has only {file_bytes}")


def check_shape(name: str, shape: tuple[int, ...]) -> None:
    """Refuse shapes that NumPy cannot hold; raises `CheckpointError`."""
    if len(shape) > MAX_DIMENSIONS:
        raise CheckpointError(f"{shown(name)} has {len(shape)} dimensions")
    if any(not isinstance(size, int) or isinstance(size, bool) or size < 0 for size in shape):
        raise CheckpointError(f"{shown(name)} has the impossible shape {shown(shape)}")
    if math.prod(max(size, 1) for size in shape) >= 1 << 58:
        raise CheckpointError(f"{shown(name)} has the impossible size {shown(shape)}")


def from_bfloat16(halves: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """bfloat16 as float32: its bits are the upper half of float32's."""
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)


def shown(value: object, limit: int = 80) -> str:
    """``value`` from a file for a message: on one line, without control characters, and not too long."""
    text = value if isinstance(value, str) else _safe_repr(value)
    text = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return text if len(text) <= limit else text[:limit] + "…"


def _safe_repr(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 256:
        return "a huge number"
    if isinstance(value, tuple):
        return "(" + ", ".join(_safe_repr(item) for item in value[:8]) + (", …)" if len(value) > 8 else ")")
    return repr(value) if isinstance(value, int | float | bytes | None) else type(value).__name__


def _brief(error: BaseException) -> str:
    return shown(str(error) or type(error).__name__, 120)
