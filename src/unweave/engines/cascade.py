"""Two networks in a row: one takes a stem away, the other takes the rest apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from unweave.dsp.masks import EPSILON, extend_masks, ratio_masks
from unweave.dsp.memory import ThreadBuffer
from unweave.dsp.stft import FRAMES_AT_ONCE
from unweave.engines.base import Network
from unweave.types import Magnitude


class CascadeNetwork:
    """``first`` estimates a stem and its rest; ``second`` takes the rest apart into the same stem and others.

    What ``second`` still finds of that stem is shared among the others, as it was trained (``taken`` in a training
    plan), so that all estimates sum to the mixture. ``exponent`` is that of the first one's ratio masks, and
    ``n_bins`` is how many bins it sees: above, its stem has the mean of each frame's mask.
    """

    def __init__(self, first: Network, second: Network, exponent: float, n_bins: int) -> None:
        self._first, self._second, self._exponent, self._n_bins = first, second, exponent, n_bins
        self._rest = ThreadBuffer()

    @property
    def n_frames(self) -> int | None:
        """See `unweave.engines.base.Network`."""
        return self._second.n_frames or self._first.n_frames

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """See `unweave.engines.base.Network`."""
        of_stem_and_rest = self._first.estimate(mixture[..., : self._n_bins])
        rest = self._rest.of(mixture.shape)
        for part in _parts(mixture):
            mask = ratio_masks(of_stem_and_rest[:, :, part], self._exponent)[1]
            np.multiply(extend_masks(mask, mixture.shape[-1], "average"), mixture[:, part], out=rest[:, part])
        estimates = self._second.estimate(rest)
        for part in _parts(mixture):
            others = estimates[1:, :, part]
            others *= rest[:, part] / (others.sum(0) + np.float32(EPSILON))
            np.subtract(mixture[:, part], rest[:, part], out=estimates[0, :, part])
        return estimates


def _parts(mixture: Magnitude) -> Iterator[slice]:
    """A few frames at a time, which stay in the processor's cache."""
    return (slice(start, start + FRAMES_AT_ONCE) for start in range(0, mixture.shape[1], FRAMES_AT_ONCE))
