"""The original's recipe for a whole track."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unweave.engines.base import HybridNetwork
from unweave.families.demucs.recipe import DEFAULT_OVERLAP, separate_windows
from unweave.families.htdemucs.spec import HTDemucsSpec
from unweave.types import Waveform


def separate_track(
    mixture: Waveform,
    spec: HTDemucsSpec,
    network: HybridNetwork,
    stems: Sequence[int] | None = None,
    overlap: float = DEFAULT_OVERLAP,
) -> npt.NDArray[np.float32]:
    """(channels, samples) → (stems, channels, samples); what is shorter than a segment lies in the middle of one."""
    return separate_windows(mixture, spec, lambda _: network, stems, overlap, filled=True)
