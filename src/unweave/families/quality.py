"""Presets for running masking models, from the original's way to the best; chosen by measurement (docs/quality.md)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from unweave.errors import OptionError
from unweave.models.spec import MaskExtension, MaskModelSpec


@dataclass(frozen=True)
class Quality:
    """What a preset changes about a model; None keeps the model's own value."""

    n_bins: int | None = None  # at most: what the network sees
    overlap_frames: int | None = None  # cross-faded between segments; at most half a segment
    mask_exponent: float | None = None
    mask_extension: MaskExtension | None = None
    sums_to_mixture: bool = True  # what the stems lack of the mixture goes to the stem that means the rest

    def apply(self, spec: MaskModelSpec) -> MaskModelSpec:
        """``spec`` as this preset runs it."""
        changes: dict[str, object] = {}
        if self.n_bins is not None:
            changes["n_bins"] = max(spec.n_bins, min(self.n_bins, spec.n_fft // 2 // 64 * 64))
        if self.overlap_frames is not None:
            changes["overlap_frames"] = min(self.overlap_frames, spec.n_frames // 2)
        # A network over split bands gives masks that sum to one, and knows its own upper edge.
        if self.mask_exponent is not None and spec.network == "unets":
            changes["mask_exponent"] = self.mask_exponent
        if self.mask_extension is not None and spec.network == "unets":
            changes["mask_extension"] = self.mask_extension
        return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]


PRESETS = {
    "exact": Quality(sums_to_mixture=False),
    "fast": Quality(mask_exponent=1.25, mask_extension="average", overlap_frames=16),
    "balanced": Quality(mask_exponent=1.25, mask_extension="average", overlap_frames=64),
    "best": Quality(mask_exponent=1.25, mask_extension="average", overlap_frames=256),
}
DEFAULT_QUALITY = "balanced"


def find_quality(name: str) -> Quality:
    """The preset called ``name``. Raises `OptionError`."""
    known = name.lower() if isinstance(name, str) else ""
    if known not in PRESETS:
        raise OptionError(f"expected one of the qualities {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[known]
