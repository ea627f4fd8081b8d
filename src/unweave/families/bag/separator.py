"""Separates segments with the networks of a bag."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unweave.dsp.memory import large_zeros
from unweave.errors import OptionError
from unweave.families.demucs.recipe import HybridSeparator
from unweave.types import Waveform


class BagSeparator:
    """Several networks over the same segments, each with its shares of the stems (`Bag.shares`).

    A network is run only for stems of which it has a share. ``n_parallel`` segments are worth computing at once.
    """

    def __init__(
        self, members: Sequence[HybridSeparator], shares: Sequence[Sequence[float]], n_parallel: int = 1
    ) -> None:
        self.n_parallel = n_parallel
        segmentations = {member.segmentation for member in members}
        if len(segmentations) != 1:
            raise OptionError("the networks of a bag must have segments of one length")
        self.segmentation = segmentations.pop()
        self._members = list(zip(members, shares, strict=True))

    def with_overlap(self, overlap: float) -> BagSeparator:
        """The same with another share of a segment that the next one shares: above 0 and at most a half."""
        members = [member.with_overlap(overlap) for member, _ in self._members]
        return BagSeparator(members, [shares for _, shares in self._members], self.n_parallel)

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """As `unweave.engines.base.SegmentSeparator.separate`."""
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
