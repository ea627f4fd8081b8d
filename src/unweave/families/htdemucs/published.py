"""htdemucs from the one file that publishes it for everybody: an exported graph, whose weights are taken out again.

The exported graph itself takes 3.6 GB and runs operation by operation; ours, from the same weights, takes a fifth of
the memory and less time, and is nearer to what Demucs computes (docs/performance.md).
"""

from __future__ import annotations

from pathlib import Path

from unweave.engines.base import SegmentSeparator
from unweave.engines.choose import Runtime, require_runtime
from unweave.families.base import Loaded, LoadOptions
from unweave.families.htdemucs import family
from unweave.families.htdemucs.family import NETWORK, open_twin, parallel, separator_of
from unweave.families.htdemucs.spec import HTDemucsSpec
from unweave.families.segment_options import with_overlap, with_segment
from unweave.models.cache import graphs_folder
from unweave.models.catalogue.official import find_weights
from unweave.models.files import kept_network_folder
from unweave.models.resolve import ResolvedModel
from unweave.models.spec import ModelSpec, WaveformModelSpec

GRAPH_VERSION = 2  # raise it when `graph` builds another graph from the same weights


def check(spec: ModelSpec, runtime: Runtime) -> None:
    """See `unweave.families.load.Family`."""
    require_runtime(runtime)


def load(resolved: ResolvedModel, options: LoadOptions) -> Loaded:
    """See `unweave.families.load.Family`."""
    spec, runtime = resolved.spec, options.runtime.on_best_device()
    assert isinstance(spec, WaveformModelSpec)
    usual = HTDemucsSpec(stems=spec.stems, segment_samples=spec.segment_samples)
    description = with_segment(family, spec.name, usual, options)
    exported = resolved.locate(options.offline, options.on_download)
    separator: SegmentSeparator
    if runtime.device != "cpu":
        from unweave.families.htdemucs.recover import recover_state

        separator, n_parallel = open_twin(description, recover_state(exported, description), runtime), 1
    else:
        digest = find_weights(spec.weights).files[0].sha256[:16]
        length = "" if description == usual else f"-{description.segment_samples}"
        folder = graphs_folder() / f"htdemucs-{digest}-v{GRAPH_VERSION}{length}"
        network = kept_network_folder(folder, lambda staged: _write(description, exported, staged))
        separator, n_parallel = separator_of(description, network, runtime), parallel(runtime)
    return Loaded(spec, with_overlap(separator, spec.name, options), n_parallel=n_parallel)


def _write(spec: HTDemucsSpec, exported: Path, folder: Path) -> None:
    # Imported here: this runs once per machine, and `onnx` takes 0.14 s to import.
    from unweave.families.htdemucs.graph import build_graph
    from unweave.families.htdemucs.recover import recover_state

    (folder / NETWORK).write_bytes(build_graph(spec, recover_state(exported, spec)).SerializeToString())
