"""Where a mixture comes from: a file, or an array that is read like one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from unweave.audio.decode import BLOCK_SAMPLES, AudioReader
from unweave.errors import OptionError
from unweave.separation.checks import checked_mixture, checked_rate, owned
from unweave.types import Waveform


class MixtureSource(Protocol):
    """A mixture that can be read in blocks, and once more before that where a model needs two passes."""

    sample_rate: int  # Hz
    n_channels: int

    @property
    def expected_seconds(self) -> float | None:
        """How long it seems to be; None where that is not known."""
        ...

    def again(self) -> Iterator[Waveform]:
        """All blocks in a pass of its own, before the source itself is iterated."""
        ...

    def __iter__(self) -> Iterator[Waveform]:
        """Blocks of float32 (channels, samples), all finite, which nobody else changes."""
        ...


class ArraySource:
    """An array (channels, samples) of any float type as a source; it is neither kept nor changed."""

    def __init__(self, mixture: Any, sample_rate: Any) -> None:
        if sample_rate is None:
            raise OptionError("an array needs its sample_rate in Hz")
        self._mixture = checked_mixture(mixture)
        self.sample_rate = checked_rate(sample_rate)
        self.n_channels = len(self._mixture)

    @property
    def expected_seconds(self) -> float | None:
        """See `MixtureSource`."""
        return float(self._mixture.shape[1] / self.sample_rate)

    def again(self) -> Iterator[Waveform]:
        """See `MixtureSource`."""
        return iter(self)

    def __iter__(self) -> Iterator[Waveform]:
        for start in range(0, self._mixture.shape[1], BLOCK_SAMPLES):
            yield owned(self._mixture[:, start : start + BLOCK_SAMPLES])


def open_source(mixture: Any, sample_rate: Any) -> AbstractContextManager[MixtureSource]:
    """``mixture`` as a source: a path or a file object, whose own rate is taken, or samples at ``sample_rate`` Hz.

    Raises `OptionError` for what is neither, and `AudioReadError` for an unusable file.
    """
    if isinstance(mixture, (str, os.PathLike)) or hasattr(mixture, "read"):
        if sample_rate is not None:
            raise OptionError("sample_rate is only for arrays; a file has its own")
        return AudioReader(mixture)
    return nullcontext(ArraySource(mixture, sample_rate))
