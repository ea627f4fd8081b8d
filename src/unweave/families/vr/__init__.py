"""VR: masks for stacked bands, the older networks of Ultimate Vocal Remover, of version 5 and 5.1."""

from __future__ import annotations

from pathlib import Path

from unweave.engines.choose import Runtime
from unweave.families.base import require_plain_cpu
from unweave.families.vr.recipe import VrSeparator, separate_track
from unweave.families.vr.recognise import recognise
from unweave.families.vr.spec import FORMAT_VERSION, NETWORK, VrSpec
from unweave.models.checkpoints import Tensors

Spec = VrSpec

__all__ = ["FORMAT_VERSION", "Spec", "VrSpec", "open_separator", "recognise", "separate_track", "write_network"]


def write_network(spec: VrSpec, tensors: Tensors, folder: Path) -> None:
    """Write the network as ``network.onnx`` and ``network.bin`` in ``folder``."""
    from unweave.families.vr.graph import write_graph  # `onnx` takes 0.14 s to import

    write_graph(spec, tensors, folder)


def open_separator(spec: VrSpec, folder: Path, runtime: Runtime) -> VrSeparator:
    """The network that `write_network` left in ``folder``, ready to separate segments, on the CPU."""
    require_plain_cpu(spec.name, runtime)
    from unweave.engines.onnx import OnnxSession

    return VrSeparator(spec, OnnxSession(folder / NETWORK, runtime.n_threads))
