"""Open-Unmix: one recurrent network for each stem, and a Wiener filter over all of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from unweave.engines.choose import Runtime, cpu_session
from unweave.families.openunmix.recipe import OpenUnmixSeparator, separate_track
from unweave.families.openunmix.recognise import recognise
from unweave.families.openunmix.spec import NETWORK, OpenUnmixSpec
from unweave.families.openunmix.targets import read_targets
from unweave.families.segment_options import whole_hops
from unweave.models.checkpoints import Tensors

Spec = OpenUnmixSpec

__all__ = [
    "OpenUnmixSpec",
    "Spec",
    "open_separator",
    "open_twin",
    "read_targets",
    "recognise",
    "separate_track",
    "with_segment",
    "write_network",
]


def with_segment(spec: OpenUnmixSpec, n_samples: int) -> OpenUnmixSpec:
    """See `unweave.families.segment_options`: any whole number of hops."""
    return dataclasses.replace(spec, n_frames=1 + whole_hops(n_samples, spec.hop_length) // spec.hop_length)


def write_network(spec: OpenUnmixSpec, tensors: Tensors, folder: Path) -> None:
    """Write the networks of all stems as ``network.onnx`` and ``network.bin`` in ``folder``."""
    from unweave.families.openunmix.graph import write_graph  # `onnx` takes 0.14 s to import

    write_graph(spec, tensors, folder)


def open_separator(spec: OpenUnmixSpec, folder: Path, runtime: Runtime) -> OpenUnmixSeparator:
    """The networks that `write_network` left in ``folder``, ready to separate segments, on the CPU."""
    return OpenUnmixSeparator(spec, cpu_session(folder / NETWORK, runtime))


def open_twin(spec: OpenUnmixSpec, tensors: Tensors, runtime: Runtime) -> OpenUnmixSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.openunmix.network import OpenUnmix, Together
    from unweave.families.twins import session, with_arrays

    networks = []
    for prefix in spec.prefixes:
        own = spec.network_shapes()
        arrays = {name: tensors[f"{prefix}{name}"] for name in own}
        networks.append(with_arrays(OpenUnmix(spec), arrays, own, spec.name))
    return OpenUnmixSeparator(spec, session(Together(networks), runtime))
