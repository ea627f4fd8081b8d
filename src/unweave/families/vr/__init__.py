"""VR: masks for stacked bands, the older networks of Ultimate Vocal Remover, of version 5 and 5.1."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from unweave.engines.choose import Runtime, cpu_session
from unweave.families.vr.recipe import N_WINDOWS, VrSeparator, separate_track
from unweave.families.vr.recognise import recognise
from unweave.families.vr.spec import NETWORK, VrSpec
from unweave.models.checkpoints import Tensors

Spec = VrSpec
FRAMES_TOGETHER = 32  # networks have up to five levels

__all__ = [
    "Spec",
    "VrSpec",
    "open_separator",
    "open_twin",
    "recognise",
    "separate_track",
    "with_segment",
    "write_network",
]


def with_segment(spec: VrSpec, n_samples: int) -> VrSpec:
    """See `unweave.families.segment_options`: windows of the network that can be halved at each level."""
    n_given = (n_samples / spec.bands[-1].hop_length + 2) / N_WINDOWS
    n_edge = 2 * spec.n_edge_frames
    n_frames = max(round((n_given + n_edge) / FRAMES_TOGETHER), n_edge // FRAMES_TOGETHER + 1) * FRAMES_TOGETHER
    return dataclasses.replace(spec, n_frames=n_frames)


def write_network(spec: VrSpec, tensors: Tensors, folder: Path) -> None:
    """Write the network as ``network.onnx`` and ``network.bin`` in ``folder``."""
    from unweave.families.vr.graph import write_graph  # `onnx` takes 0.14 s to import

    write_graph(spec, tensors, folder)


def open_separator(spec: VrSpec, folder: Path, runtime: Runtime) -> VrSeparator:
    """The network that `write_network` left in ``folder``, ready to separate segments, on the CPU."""
    return VrSeparator(spec, cpu_session(folder / NETWORK, runtime))


def open_twin(spec: VrSpec, tensors: Tensors, runtime: Runtime) -> VrSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.twins import session, with_arrays
    from unweave.families.vr.network import Vr

    return VrSeparator(spec, session(with_arrays(Vr(spec), tensors, spec.shapes, spec.name), runtime))
