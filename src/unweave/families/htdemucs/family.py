"""What `unweave.families.foreign` asks of a family."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unweave.engines.base import SegmentSeparator
from unweave.engines.choose import Runtime, cpu_session
from unweave.errors import OptionError
from unweave.families.demucs.arguments import only_stereo
from unweave.families.demucs.recipe import HybridSeparator, SessionNetwork
from unweave.families.htdemucs.recognise import KIND
from unweave.families.htdemucs.recognise import recognise as recognise_arrays
from unweave.families.htdemucs.spec import HTDemucsSpec
from unweave.models.checkpoints import Tensors

NETWORK = "network.onnx"
MOST_AT_ONCE = 2


def recognise(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> HTDemucsSpec | None:
    """See `unweave.families.foreign.ForeignFamily`."""
    return only_stereo(recognise_arrays(tensors, configuration), KIND)


def with_segment(spec: HTDemucsSpec, n_samples: int) -> HTDemucsSpec:
    """See `unweave.families.segment_options`: any shorter one. Raises `OptionError` for positions never trained."""
    if n_samples > spec.segment_samples:
        raise OptionError(
            f"expected a segment of up to {spec.segment_samples / spec.sample_rate:.1f} s, which this HTDemucs was "
            f"trained with, got {n_samples / spec.sample_rate:.1f}"
        )
    return dataclasses.replace(spec, segment_samples=n_samples)


def write_network(spec: HTDemucsSpec, tensors: Tensors, folder: Path) -> None:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.htdemucs.graph import build_graph  # `onnx` takes 0.14 s to import, and this runs once

    arrays = {name: np.asarray(tensors[name], np.float32) for name in spec.shapes()}
    (folder / NETWORK).write_bytes(build_graph(spec, arrays).SerializeToString())


def open_separator(spec: HTDemucsSpec, folder: Path, runtime: Runtime) -> SegmentSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    return separator_of(spec, folder, runtime)


def separator_of(spec: HTDemucsSpec, folder: Path, runtime: Runtime) -> HybridSeparator:
    """The network that was written into ``folder``, on `parallel` segments at once."""
    return HybridSeparator(spec, SessionNetwork(cpu_session(folder / NETWORK, runtime, parallel(runtime))))


def open_twin(spec: HTDemucsSpec, tensors: Mapping[str, Any], runtime: Runtime) -> HybridSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.htdemucs.network import load_network
    from unweave.families.twins import session

    return HybridSeparator(spec, SessionNetwork(session(load_network(spec, tensors), runtime)))


def parallel(runtime: Runtime) -> int:
    """How many segments are computed at once: two are faster than one on all cores, and more take too much memory."""
    return min(MOST_AT_ONCE, runtime.n_threads)
