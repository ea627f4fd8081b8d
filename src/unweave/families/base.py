"""What a family of models gives to everything above it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.engines.base import Network, SegmentSeparator
from unweave.engines.choose import Runtime, require_torch_device
from unweave.errors import OptionError
from unweave.families.quality import Quality, find_quality
from unweave.models.fetch import DownloadProgress
from unweave.models.spec import MaskModelSpec, ModelSpec


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


def require_plain_cpu(name: str, runtime: Runtime) -> None:
    """Raise `OptionError` for anything but the CPU in float32, where the model ``name`` runs in nothing else."""
    if not runtime.is_float32_on_cpu:
        raise OptionError(
            f"{name} only runs on the CPU in float32, not with device {runtime.device} and precision "
            f"{runtime.precision}"
        )


class Session(Protocol):
    """A network, loaded and ready; may be called from several threads at once."""

    def run(self, *arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """All outputs for the inputs."""
        ...


def require_cpu_or_card(name: str, runtime: Runtime) -> None:
    """Raise `OptionError` for a graphics card that is not there, and on the CPU for anything but float32."""
    runtime = runtime.on_best_device()
    if runtime.device == "cpu":
        require_plain_cpu(name, runtime)
    else:
        require_torch_device(runtime.device)


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
