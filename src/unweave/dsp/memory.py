"""Large arrays that leave no holes in memory: they do not outlive their use, or are used again and again."""

from __future__ import annotations

import math
import mmap
import threading

import numpy as np
import numpy.typing as npt

from unweave.types import Waveform


def large_zeros(shape: tuple[int, ...]) -> Waveform:
    """Zeros of float32 in pages of their own, which the system has back the moment the array is freed.

    The C library would keep an array of some megabytes in its heap, where arrays that one thread allocates and another
    frees leave holes: over ten hours of audio they added an eighth to the peak. Pages cost a millisecond per segment.
    """
    n_values = math.prod(shape)
    if n_values == 0:
        return np.zeros(shape, np.float32)
    return np.frombuffer(mmap.mmap(-1, 4 * n_values), np.float32).reshape(shape)


class ThreadBuffer:
    """An array of float32 for each thread, used again and again: large arrays that come and go leave holes."""

    def __init__(self) -> None:
        self._own = threading.local()

    def of(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """This thread's array, with whatever it holds; another one where it had another shape."""
        array: npt.NDArray[np.float32] | None = getattr(self._own, "array", None)
        if array is None or array.shape != shape:
            array = self._own.array = np.empty(shape, np.float32)
        return array
