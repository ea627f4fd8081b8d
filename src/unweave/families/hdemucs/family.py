"""What `unweave.families.foreign` asks of a family."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unweave.engines.base import SegmentSeparator
from unweave.engines.choose import Runtime, cpu_session
from unweave.families.demucs.arguments import only_stereo
from unweave.families.demucs.recipe import HybridSeparator, SessionNetwork
from unweave.families.hdemucs.recognise import KIND
from unweave.families.hdemucs.recognise import recognise as recognise_arrays
from unweave.families.hdemucs.spec import HDemucsSpec
from unweave.models.checkpoints import Tensors

NETWORK = "network.onnx"


def recognise(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> HDemucsSpec | None:
    """See `unweave.families.foreign.ForeignFamily`."""
    return only_stereo(recognise_arrays(tensors, configuration, name), KIND)


def with_segment(spec: HDemucsSpec, n_samples: int) -> HDemucsSpec:
    """See `unweave.families.segment_options`: any length."""
    return dataclasses.replace(spec, segment_samples=n_samples)


def write_network(spec: HDemucsSpec, tensors: Tensors, folder: Path) -> None:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.hdemucs.graph import build_graph  # `onnx` takes 0.14 s to import, and this runs once

    arrays = {name: np.asarray(tensors[name], np.float32) for name in spec.shapes()}
    (folder / NETWORK).write_bytes(build_graph(spec, arrays).SerializeToString())


def open_separator(spec: HDemucsSpec, folder: Path, runtime: Runtime) -> SegmentSeparator:
    """See `unweave.families.foreign.ForeignFamily`. One segment at a time: it is long, and takes a lot of memory."""
    return HybridSeparator(spec, SessionNetwork(cpu_session(folder / NETWORK, runtime)))


def open_twin(spec: HDemucsSpec, tensors: Mapping[str, Any], runtime: Runtime) -> SegmentSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.hdemucs.network import load_network
    from unweave.families.twins import session

    return HybridSeparator(spec, SessionNetwork(session(load_network(spec, tensors), runtime)))
