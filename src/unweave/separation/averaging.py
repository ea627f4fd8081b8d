"""One model over several versions of a segment, to be averaged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unweave.engines.base import SegmentSeparator
from unweave.types import Waveform


class ShiftedSeparator:
    """A separator whose segments begin ``shift`` samples earlier: the same mixture in other surroundings."""

    def __init__(self, separator: SegmentSeparator, shift: int) -> None:
        self._separator = separator
        segmentation = separator.segmentation
        self.segmentation = dataclasses.replace(segmentation, lead=segmentation.lead + shift)

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """See `SegmentSeparator.separate`."""
        return self._separator.separate(segment, stems, is_first=is_first)


class VariedSeparator:
    """The mean over a segment as it is, with its channels swapped, and with its polarity inverted.

    This is what the field calls test-time augmentation, as ZFTurbo's training code has it. What a network takes for
    something else when it comes from the other side, or upside down, is smaller in the mean. It takes three times as
    long.
    """

    def __init__(self, separator: SegmentSeparator) -> None:
        self._separator = separator
        self.segmentation = separator.segmentation

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """See `SegmentSeparator.separate`."""
        total = self._separator.separate(segment, stems, is_first=is_first)
        total += self._separator.separate(segment[::-1].copy(), stems, is_first=is_first)[:, ::-1]
        total -= self._separator.separate(-segment, stems, is_first=is_first)
        total /= np.float32(3)
        return total
