"""Separates segments with the networks of a bag."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unweave.dsp.memory import large_zeros
from unweave.engines.base import SegmentSeparator
from unweave.errors import OptionError
from unweave.types import Waveform


class BagSeparator:
    """Several networks over the same segments, each with its shares of the stems (`Bag.shares`).

    A network is run only for stems of which it has a share. ``n_parallel`` segments are worth computing at once.
    """

    def __init__(
        self, members: Sequence[SegmentSeparator], shares: Sequence[Sequence[float]], n_parallel: int = 1
    ) -> None:
        self.n_parallel = n_parallel
        segmentations = {member.segmentation for member in members}
        if len(segmentations) != 1:
            raise OptionError("the networks of a bag must have segments of one length")
        self.segmentation = segmentations.pop()
        self._members = list(zip(members, shares, strict=True))

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """As `SegmentSeparator.separate`."""
        separated = large_zeros((len(stems), *segment.shape))
        for member, shares in self._members:
            rows = [row for row, stem in enumerate(stems) if shares[stem]]
            if not rows:
                continue
            parts = member.separate(segment, [stems[row] for row in rows], is_first=is_first)
            for row, part in zip(rows, parts, strict=True):
                part *= np.float32(shares[stems[row]])
                separated[row] += part
        return separated
