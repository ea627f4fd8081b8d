"""What a family of models gives to everything above it."""

from __future__ import annotations

from dataclasses import dataclass, field

from unweave.engines.base import Network, SegmentSeparator
from unweave.engines.choose import Runtime
from unweave.families.quality import Quality, find_quality
from unweave.models.spec import DownloadProgress, MaskModelSpec, ModelSpec


@dataclass(frozen=True)
class LoadOptions:
    """How a model is to be loaded."""

    runtime: Runtime = field(default_factory=Runtime)
    quality: Quality = field(default_factory=lambda: find_quality("balanced"))
    accept_licence: bool = False  # consent to a licence that restricts the use of the weights
    offline: bool = False  # never open a connection
    segment_seconds: float | None = None  # length of a segment; None: that which the model was published with
    overlap: float | None = None  # share of a segment that the next one shares; None: as published
    on_download: DownloadProgress = lambda done, total, label: None


@dataclass(frozen=True)
class MaskingModel:
    """Networks that estimate magnitudes, and how masks are made of them: what live and the Wiener filter need."""

    spec: MaskModelSpec
    network: Network


@dataclass(frozen=True)
class Loaded:
    """A model, ready to separate segments; nothing above this type knows of families."""

    spec: ModelSpec
    separator: SegmentSeparator
    masking: MaskingModel | None = None
    n_parallel: int | None = None  # how many segments are worth computing at once; None: as many as there are threads
    sums_to_mixture: bool = False  # all stems together are the mixture, but for rounding
