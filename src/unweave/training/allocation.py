"""How the memory of tensors is kept between steps."""

from __future__ import annotations

import ctypes
import mmap
import sys

# Parameters of mallopt(3), from glibc's malloc.h, and what they are set to.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
NEVER = -1
TOP_PAD_BYTES = 256 << 20
HUGE_PAGES_BYTES = 4 << 30  # of the heap


def keep_freed_memory() -> bool:
    """Let the process keep what it frees, in huge pages, for what it allocates next; whether that could be set.

    glibc gives every large block back to the system when it is freed and asks for a new one the next time, which the
    kernel then clears page by page: two million page faults in ten seconds of training, a third of its time. Kept
    memory stays at the peak. Only glibc has this; elsewhere nothing changes.
    """
    if sys.platform != "linux":
        return False
    try:
        libc = ctypes.CDLL(None)
        mallopt, malloc, free, madvise = libc.mallopt, libc.malloc, libc.free, libc.madvise
    except (OSError, AttributeError):
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER), (M_TOP_PAD, TOP_PAD_BYTES))
    if not all(mallopt(parameter, value) for parameter, value in settings):
        return False
    malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = malloc(HUGE_PAGES_BYTES)  # nothing of it is touched: no memory is used yet
    if block:
        start = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE
        madvise(start, HUGE_PAGES_BYTES - mmap.PAGESIZE, mmap.MADV_HUGEPAGE)
        free(block)
    return True
