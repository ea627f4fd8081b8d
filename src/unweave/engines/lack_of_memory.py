"""Lack of memory, which each engine tells by exceptions of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SIGNS = ("failed to allocate memory", "bad_alloc", "bad allocation", "out of memory")  # of ONNX Runtime and PyTorch


@contextmanager
def lack_of_memory_told() -> Iterator[None]:
    """Turns what an engine raises inside for want of memory into MemoryError."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if any(sign in str(error).lower() for sign in SIGNS):
            raise MemoryError("there is not enough memory for this network") from error
        raise
