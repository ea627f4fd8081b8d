"""Other segments than those that a model was published with, where its family allows them.

Two optional things say that it does: the family's ``with_segment(spec, n_samples)``, which returns the description with
the nearest possible length, and the separator's ``with_overlap(overlap)``.
"""

from __future__ import annotations

from typing import Any

from unweave.engines.base import SegmentSeparator
from unweave.errors import OptionError
from unweave.families.base import LoadOptions
from unweave.models.spec import MaskModelSpec, ModelSpec

SHORTEST_SEGMENT = 2  # frames' lengths
LARGEST_CROSSFADE = 0.5  # overlap of segments of which only two cover a sample


def check_segment_options(spec: ModelSpec, options: LoadOptions) -> None:
    """Raise `OptionError` where neither length nor overlap can be chosen: before anything is fetched."""
    if not isinstance(spec, MaskModelSpec) or (options.segment_seconds is None and options.overlap is None):
        return
    segmentation = spec.segmentation
    seconds = segmentation.length / spec.sample_rate
    overlap = 1 - segmentation.hop / segmentation.length
    raise OptionError(
        f"{spec.name} has segments of {seconds:.1f} s that overlap by {overlap:.2f}; neither can be changed"
    )


def with_segment(family: Any, name: str, description: Any, options: LoadOptions) -> Any:
    """``description``, a family's own of the model ``name``, for segments of another length. Raises `OptionError`."""
    if options.segment_seconds is None:
        return description
    if not hasattr(family, "with_segment"):
        raise OptionError(f"{name} is made for segments of one length: leave out the option")
    n_samples = round(options.segment_seconds * description.sample_rate)
    shortest = SHORTEST_SEGMENT * description.n_fft
    if n_samples < shortest:
        raise OptionError(
            f"expected a segment of at least {shortest / description.sample_rate:.2f} s for {name}, "
            f"got {options.segment_seconds:g}"
        )
    return family.with_segment(description, n_samples)


def with_overlap(separator: SegmentSeparator, name: str, options: LoadOptions) -> SegmentSeparator:
    """``separator`` of the model ``name`` with segments that overlap more or less. Raises `OptionError`."""
    if options.overlap is None:
        return separator
    if not hasattr(separator, "with_overlap"):
        segmentation = separator.segmentation
        overlap = 1 - segmentation.hop / segmentation.length
        raise OptionError(f"segments of {name} overlap by {overlap:.2f}, which cannot be changed")
    changed: SegmentSeparator = separator.with_overlap(options.overlap)
    return changed


def hop_for(overlap: float, length: int, largest: float = 1.0) -> int:
    """Samples from one segment of ``length`` samples to the next. Raises `OptionError` beyond ``largest``."""
    if overlap > largest:
        raise OptionError(f"expected an overlap from 0 to {largest:g} for this family, got {overlap:g}")
    return max(1, round(length * (1 - overlap)))


def whole_hops(n_samples: int, hop_length: int) -> int:
    """The multiple of ``hop_length`` that is nearest to ``n_samples``."""
    return round(n_samples / hop_length) * hop_length


def whole_frames(n_samples: int, hop_length: int, together: int) -> int:
    """The number of frames over ``n_samples``, as the nearest multiple of ``together`` that is not 0."""
    return max(1, round((n_samples / hop_length + 1) / together)) * together
