"""The original's recipe for a whole track."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from unweave.engines.base import HybridNetwork
from unweave.families.demucs.recipe import DEFAULT_OVERLAP, separate_windows
from unweave.families.hdemucs.spec import HDemucsSpec
from unweave.types import Waveform


def separate_track(
    mixture: Waveform,
    spec: HDemucsSpec,
    network_of: Callable[[int], HybridNetwork],
    stems: Sequence[int] | None = None,
    overlap: float = DEFAULT_OVERLAP,
) -> npt.NDArray[np.float32]:
    """(channels, samples) → (stems, channels, samples); what is shorter than a segment is separated at its own length.

    ``network_of`` gives the network for a number of samples.
    """
    return separate_windows(mixture, spec, network_of, stems, overlap, filled=False)
