"""What an engine is: something that runs a model's networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from unweave.dsp.segments import Segmentation
from unweave.types import Magnitude, Waveform


class Network(Protocol):
    """The networks of a masking model, loaded and ready; may be called from several threads at once.

    ``n_frames`` is how many frames every call must have, or None where any multiple of 64 will do.
    """

    @property
    def n_frames(self) -> int | None:
        """See the class."""
        ...

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """Each stem's magnitudes from the mixture's: (channels, frames, bins) → (stems, channels, frames, bins).

        Frames and bins are multiples of 64. The result may be overwritten by the next call in the same thread.
        """
        ...


class Session(Protocol):
    """Any network, loaded and ready; may be called from several threads at once."""

    def run(self, *arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """All outputs for the inputs."""
        ...


@runtime_checkable
class SegmentSeparator(Protocol):
    """A model that separates one segment of samples at a time; may be called from several threads at once."""

    segmentation: Segmentation

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """(channels, length) → (stems, channels, length), such that overlapping segments add up to the stems.

        ``is_first`` says that no segment comes before, and so nothing to fade in from.
        """
        ...


class HybridNetwork(Protocol):
    """The network: (channels, samples) and its spectrum as channels of real parts → both, per stem."""

    def run(
        self, mixture: npt.NDArray[np.float32], spectrum: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """(channels, samples), (2 · channels, bins, frames) → (stems, 2 · channels, bins, frames), (stems, …)."""
        ...
