"""Two networks in a row: one takes a stem away, the other takes the rest apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unweave.dsp.masks import EPSILON, ratio_masks
from unweave.engines.base import Network
from unweave.types import Magnitude


class CascadeNetwork:
    """``first`` estimates a stem and its rest; ``second`` takes the rest apart into the same stem and others.

    What ``second`` still finds of that stem is shared among the others, as it was trained (``taken`` in a training
    plan), so that all estimates sum to the mixture. ``exponent`` is that of the first one's ratio masks.
    """

    def __init__(self, first: Network, second: Network, exponent: float) -> None:
        self._first, self._second, self._exponent = first, second, exponent

    @property
    def n_frames(self) -> int | None:
        """See `unweave.engines.base.Network`."""
        return self._second.n_frames or self._first.n_frames

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """See `unweave.engines.base.Network`."""
        masks = ratio_masks(self._first.estimate(mixture), self._exponent)
        rest = np.multiply(masks[1], mixture, out=masks[1])
        taken = np.multiply(masks[0], mixture, out=masks[0])
        estimates = self._second.estimate(rest)
        others = estimates[1:]
        others *= rest / (others.sum(0) + np.float32(EPSILON))
        estimates[0] = taken
        return estimates
