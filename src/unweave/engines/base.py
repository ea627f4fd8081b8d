"""What an engine is: something that runs a model's networks."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.types import Magnitude


class Network(Protocol):
    """The networks of a masking model, loaded and ready; may be called from several threads at once."""

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """Each stem's magnitudes from the mixture's: (channels, frames, bins) → (stems, channels, frames, bins).

        Frames and bins are multiples of 64. The result may be overwritten by the next call in the same thread.
        """
        ...
