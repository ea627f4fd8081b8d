"""Numbers below the smallest normal one count as zero while a network runs.

The softmax of an attention is full of them: weights of e⁻⁸⁸ = 6e-39 for all that a position does not attend to. Intel's
processors take some hundred cycles for an operation on such a number, so that the attention of HTDemucs took four times
as long as it does without them, with the same result to the bit (docs/performance.md).

It is a setting of the processor for each thread, and NumPy notices when it stays changed; so it lasts for a run only.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache

FLUSH = 0x8040  # bits of the register MXCSR: results (0x8000) and operands (0x0040) that are denormal become zero
MXCSR = 28  # where the C library's fenv_t holds the register: glibc and musl on x86-64
ENVIRONMENT = 64  # bytes, more than a fenv_t has
WINDOWS_MASK, WINDOWS_FLUSH = 0x03000000, 0x01000000  # _MCW_DN, _DN_FLUSH


def without_denormals() -> AbstractContextManager[None]:
    """A context in which the calling thread counts denormal numbers as zero, where this machine has such a setting."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return nullcontext()  # others are hardly slowed down by them
    if sys.platform == "linux" and (library := _c_library()) is not None:
        return _on_linux(library)
    return _on_windows() if sys.platform == "win32" else nullcontext()


@lru_cache(maxsize=1)
def _c_library() -> ctypes.PyDLL | None:
    """The C library, or None where a program that embeds Python does not show these two functions.

    Its functions take nanoseconds, so they keep Python's lock: to give it up is to wait for it again.
    """
    library = ctypes.PyDLL(None)
    return library if hasattr(library, "fegetenv") and hasattr(library, "fesetenv") else None


@contextmanager
def _on_linux(library: ctypes.PyDLL) -> Iterator[None]:
    before, during = (ctypes.create_string_buffer(ENVIRONMENT) for _ in range(2))
    library.fegetenv(before)
    during.raw = before.raw
    register = ctypes.c_uint32.from_buffer(during, MXCSR)
    register.value |= FLUSH
    try:
        library.fesetenv(during)
        yield
    finally:
        library.fesetenv(before)


@contextmanager
def _on_windows() -> Iterator[None]:  # pragma: no cover
    library = ctypes.CDLL("ucrtbase")
    state = ctypes.c_uint()
    library._controlfp_s(ctypes.byref(state), 0, 0)
    before = state.value & WINDOWS_MASK
    library._controlfp_s(ctypes.byref(state), WINDOWS_FLUSH, WINDOWS_MASK)
    try:
        yield
    finally:
        library._controlfp_s(ctypes.byref(state), before, WINDOWS_MASK)
