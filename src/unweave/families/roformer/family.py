"""What `unweave.families.foreign` asks of a family."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.engines.base import SegmentSeparator
from unweave.engines.choose import Runtime
from unweave.families.roformer.recipe import RoformerSeparator
from unweave.families.roformer.spec import RoformerSpec
from unweave.families.segment_options import whole_hops
from unweave.models.checkpoints import Tensors

NETWORK = "network.onnx"


def with_segment(spec: RoformerSpec, n_samples: int) -> RoformerSpec:
    """See `unweave.families.segment_options`: any whole number of hops."""
    return dataclasses.replace(spec, segment_samples=whole_hops(n_samples, spec.hop_length))


def write_network(spec: RoformerSpec, tensors: Tensors, folder: Path) -> None:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.roformer.graph import write_graph  # `onnx` takes 0.14 s to import, and this runs once

    write_graph(spec, tensors, folder)


def open_separator(spec: RoformerSpec, folder: Path, runtime: Runtime) -> SegmentSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    return RoformerSeparator(spec, _Network(folder / NETWORK, runtime.n_threads))


class _Network:
    """A `unweave.families.roformer.recipe.MaskNetwork` in ONNX Runtime."""

    def __init__(self, path: Path, n_threads: int) -> None:
        from unweave.engines.onnx import OnnxSession

        self._session = OnnxSession(path, n_threads)

    def masks(self, spectrum: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._session.run(spectrum)[0]
