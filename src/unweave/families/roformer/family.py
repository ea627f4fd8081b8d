"""What `unweave.families.foreign` asks of a family."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.engines.base import SegmentSeparator, Session
from unweave.engines.choose import Runtime, cpu_session
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
    return RoformerSeparator(spec, _Network(cpu_session(folder / NETWORK, runtime)))


def open_twin(spec: RoformerSpec, tensors: Tensors, runtime: Runtime) -> SegmentSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.roformer.network import Roformer
    from unweave.families.twins import session, with_arrays

    network = with_arrays(Roformer(spec), tensors, spec.shapes, spec.name)
    return RoformerSeparator(spec, _Network(session(network, runtime), is_batched=True))


class _Network:
    """A `unweave.families.roformer.recipe.MaskNetwork`; the one in PyTorch takes several segments at once."""

    def __init__(self, session: Session, *, is_batched: bool = False) -> None:
        self._session = session
        self._is_batched = is_batched

    def masks(self, spectrum: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._session.run(spectrum[None])[0][0] if self._is_batched else self._session.run(spectrum)[0]
