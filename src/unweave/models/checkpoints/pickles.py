"""Read a pickle without running it.

Python's own unpickler imports and calls whatever the file names. This one follows the same instructions, decoded by
`pickletools`, but a class or function is only ever a `Name`, and calling one means looking it up in the short table of
`unweave.models.checkpoints.builders`. Anything that is not in the table is refused by name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import IO, Any, cast

from unweave.errors import CheckpointError
from unweave.models.checkpoints.builders import ArrayInTheMaking, Builders, is_known
from unweave.models.checkpoints.tensors import shown
from unweave.models.checkpoints.values import Name, Record

MAX_PICKLE_BYTES = 1 << 28  # the largest seen, with its arrays inside, has 59 MB
MAX_INSTRUCTIONS = 2_000_000  # a few seconds; checkpoints with the state of their training need about 100 000
MAX_LINE_BYTES = 1 << 12
MAX_INTEGER_BYTES = 16
MAX_DEPTH = 1000

LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


class Source:
    """A stretch of bytes read from front to back, in the shape `pickletools` wants a file in."""

    def __init__(self, data: memoryview, start: int = 0) -> None:
        self._data = data
        self._position = start

    def tell(self) -> int:
        return self._position

    @property
    def n_left(self) -> int:
        return len(self._data) - self._position

    def read(self, n_bytes: int) -> bytes:
        if n_bytes > MAX_PICKLE_BYTES:
            raise CheckpointError(f"the pickle inside holds a value of {n_bytes} bytes")
        raw = bytes(self._data[self._position : self._position + max(0, n_bytes)])
        self._position += len(raw)
        return raw

    def readline(self) -> bytes:
        line = bytes(self._data[self._position : self._position + MAX_LINE_BYTES])
        end = line.find(b"\n") + 1
        if not end:
            raise CheckpointError("a name in the pickle is cut off or far too long")
        if b"\\" in line[:end]:  # never part of a class name, and pickletools would read it as an escape
            raise CheckpointError(f"the pickle contains an impossible name: {shown(line[:end])}")
        self._position += end
        return line[:end]


def read_pickle(source: Source, persistent: Callable[[object], object] | None = None) -> object:
    """The value of the next pickle in ``source``, which is left positioned after it.

    ``persistent`` resolves references to objects outside the pickle (in PyTorch's files, storages). Raises
    `CheckpointError` for anything but plain data, arrays and known names.
    """
    return _Machine(source, persistent).run()


class _Machine:
    """The stack machine of a pickle, see the comments in Python's ``pickletools.py``."""

    def __init__(self, source: Source, persistent: Callable[[object], object] | None) -> None:
        self._source = source
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, object] = {}
        self._builders = Builders(source.n_left)

    def run(self) -> object:
        start = self._source.tell()
        for count, (opcode, argument, _) in enumerate(pickletools.genops(cast(IO[bytes], self._source))):
            if count >= MAX_INSTRUCTIONS or self._source.tell() - start > MAX_PICKLE_BYTES:
                raise CheckpointError("the pickle inside is too long to describe a model")
            name = opcode.name
            if name in LITERALS:
                self._push(self._literal(argument))
            elif name in CONSTANTS:
                self._push(CONSTANTS[name])
            elif name == "STOP":
                break
            else:
                step = getattr(self, f"_op_{name.lower()}", None)
                if step is None:
                    raise CheckpointError(f"the pickle uses the instruction {name}, which no checkpoint needs")
                step(argument)
        if len(self._stack) != 1 or self._marks:
            raise CheckpointError("the pickle inside is damaged: it does not end with one value")
        return self._stack[0]

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack:
            raise CheckpointError("the pickle inside is damaged: it uses a value that is not there")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise CheckpointError("the pickle inside is damaged: it uses a value that is not there")
        return self._stack[-1]

    def _pop_to_mark(self) -> list[Any]:
        if not self._marks:
            raise CheckpointError("the pickle inside is damaged: it returns to a mark that was never set")
        items = self._stack
        self._stack = self._marks.pop()
        return items

    @staticmethod
    def _literal(argument: object) -> object:
        if isinstance(argument, int) and argument.bit_length() > 8 * MAX_INTEGER_BYTES:
            raise CheckpointError(f"the pickle holds an integer of {argument.bit_length()} bits")
        return bytes(argument) if isinstance(argument, bytearray) else argument

    def _op_proto(self, version: int) -> None:
        if not 2 <= version <= 5:
            raise CheckpointError(f"the pickle has the unknown version {version}")

    def _op_frame(self, n_bytes: int) -> None:
        if n_bytes > self._source.n_left:
            raise CheckpointError(
                f"the pickle is truncated: a frame needs {n_bytes} bytes, {self._source.n_left} are left"
            )

    def _op_mark(self, _: None) -> None:
        if len(self._marks) >= MAX_DEPTH:
            raise CheckpointError(f"the pickle is nested more than {MAX_DEPTH} deep")
        self._marks.append(self._stack)
        self._stack = []

    def _op_pop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_to_mark()

    def _op_pop_mark(self, _: None) -> None:
        self._pop_to_mark()

    def _op_dup(self, _: None) -> None:
        self._push(self._top())

    def _op_empty_list(self, _: None) -> None:
        self._push([])

    def _op_empty_set(self, _: None) -> None:
        self._push([])

    def _op_empty_dict(self, _: None) -> None:
        self._push({})

    def _op_list(self, _: None) -> None:
        self._push_below_mark(list)

    def _op_frozenset(self, _: None) -> None:
        self._push_below_mark(list)

    def _op_tuple(self, _: None) -> None:
        self._push_below_mark(tuple)

    def _push_below_mark(self, kind: Callable[[list[Any]], object]) -> None:
        items = self._pop_to_mark()
        self._push(kind(items))

    def _op_dict(self, _: None) -> None:
        items = self._pop_to_mark()
        self._push({})
        self._set_items(items)

    def _op_tuple1(self, _: None) -> None:
        self._push((self._pop(),))

    def _op_tuple2(self, _: None) -> None:
        second, first = self._pop(), self._pop()
        self._push((first, second))

    def _op_tuple3(self, _: None) -> None:
        third, second, first = self._pop(), self._pop(), self._pop()
        self._push((first, second, third))

    def _op_append(self, _: None) -> None:
        self._extend([self._pop()])

    def _op_appends(self, _: None) -> None:
        self._extend(self._pop_to_mark())

    def _op_additems(self, _: None) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        elements = target.elements if isinstance(target, Record) else target
        if not isinstance(elements, list):
            raise CheckpointError("the pickle inside is damaged: it appends to something that is not a list")
        elements.extend(items)

    def _op_setitem(self, _: None) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _op_setitems(self, _: None) -> None:
        self._set_items(self._pop_to_mark())

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        entries = target.entries if isinstance(target, Record) else target
        if not isinstance(entries, dict) or len(items) % 2:
            raise CheckpointError("the pickle inside is damaged: it sets an item of something that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not _is_key(key):
                raise CheckpointError("the pickle uses something as a key that is neither a name nor a number")
            entries[key] = value

    def _op_binput(self, index: int) -> None:
        self._memo[index] = self._top()

    def _op_long_binput(self, index: int) -> None:
        self._memo[index] = self._top()

    def _op_memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._top()

    def _op_binget(self, index: int) -> None:
        if index not in self._memo:
            raise CheckpointError(f"the pickle inside is damaged: it refers to the unknown value {index}")
        value = self._memo[index]
        self._push(value.array if isinstance(value, ArrayInTheMaking) and value.array is not None else value)

    def _op_long_binget(self, index: int) -> None:
        self._op_binget(index)

    def _op_global(self, argument: str) -> None:
        self._push_name(*argument.split(" ", 1))

    def _op_stack_global(self, _: None) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise CheckpointError("the pickle names a class by something that is not text")
        self._push_name(module, name)

    def _push_name(self, module: str, name: str) -> None:
        path = f"{module}.{name}"
        if not is_known(path):
            raise CheckpointError(f"it asks for {shown(path)}, which does not belong in a file of weights")
        self._push(Name(path))

    def _op_reduce(self, _: None) -> None:
        arguments, function = self._pop(), self._pop()
        self._push(self._builders.call(function, arguments))

    def _op_newobj(self, _: None) -> None:
        arguments, kind = self._pop(), self._pop()
        self._push(self._builders.call(kind, arguments))

    def _op_newobj_ex(self, _: None) -> None:
        _keywords, arguments, kind = self._pop(), self._pop(), self._pop()
        self._push(self._builders.call(kind, arguments))

    def _op_build(self, _: None) -> None:
        state, target = self._pop(), self._pop()
        self._push(self._builders.build(target, state))

    def _op_binpersid(self, _: None) -> None:
        if self._persistent is None:
            raise CheckpointError("the pickle refers to something outside it, but there is nothing else")
        self._push(self._persistent(self._pop()))


def _is_key(key: object) -> bool:
    if isinstance(key, tuple):
        return len(key) <= 8 and all(_is_key(part) and not isinstance(part, tuple) for part in key)
    if isinstance(key, int):
        return key.bit_length() < 64  # larger ones could be chosen to share one hash
    return key is None or isinstance(key, str | float | Name)
