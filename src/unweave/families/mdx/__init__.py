"""MDX-Net: the ONNX files that Ultimate Vocal Remover made known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from unweave.engines.choose import Runtime, cpu_session
from unweave.families.mdx.recipe import MdxSeparator, separate_track
from unweave.families.mdx.recognise import recognise
from unweave.families.mdx.spec import NETWORK, MdxSpec
from unweave.families.segment_options import whole_frames
from unweave.models.checkpoints import Tensors

Spec = MdxSpec
FRAMES_TOGETHER = 64  # networks have five or six levels

__all__ = [
    "MdxSpec",
    "Spec",
    "open_separator",
    "open_twin",
    "recognise",
    "separate_track",
    "with_segment",
    "write_network",
]


def with_segment(spec: MdxSpec, n_samples: int) -> MdxSpec:
    """See `unweave.families.segment_options`: as many frames as can be halved at each level."""
    return dataclasses.replace(spec, n_frames=whole_frames(n_samples, spec.hop_length, FRAMES_TOGETHER))


def write_network(spec: MdxSpec, tensors: Tensors, folder: Path) -> None:
    """Write ``network.onnx`` in ``folder``: the file that was recognised, with fixed shapes."""
    from unweave.families.mdx.graph import write_graph  # `onnx` takes 0.14 s to import

    write_graph(spec, tensors, folder)


def open_separator(spec: MdxSpec, folder: Path, runtime: Runtime) -> MdxSeparator:
    """The network that `write_network` left in ``folder``, ready to separate segments, on the CPU."""
    return MdxSeparator(spec, cpu_session(folder / NETWORK, runtime))


def open_twin(spec: MdxSpec, tensors: Tensors, runtime: Runtime) -> MdxSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.mdx.graph import with_fixed_shapes, with_weights
    from unweave.families.mdx.network import GraphNetwork
    from unweave.families.twins import session

    network = GraphNetwork(with_fixed_shapes(with_weights(spec, tensors), spec))
    return MdxSeparator(spec, session(network, runtime))
