"""Where the graph of a network over bands lies: built from its weights, once, and kept."""

from __future__ import annotations

from pathlib import Path

from unweave.errors import CheckpointError
from unweave.families.kept import kept_network
from unweave.families.unet.path import network_path
from unweave.models.spec import MaskModelSpec

GRAPH_VERSION = 2  # raise it when `graph` builds another graph from the same weights
# What the graph depends on; frames and masks are applied outside of it.
GRAPH_FIELDS = ("stems", "network_stems", "folds", "n_filters", "time_attention", "ensemble", "n_channels", "n_bins")


def bands_network_path(spec: MaskModelSpec, location: Path) -> Path:
    """The ONNX file of ``spec``, for any number of frames, from the ``.safetensors`` file beside ``location``.

    Where there is none, the graph at ``location`` itself is taken; in those that PyTorch exported the number of frames
    is fixed. Raises `CheckpointError` for damaged weights and `ModelError` where the cache cannot be written.
    """
    weights = location.with_suffix(".safetensors")
    if not weights.is_file():
        return network_path(spec, location)

    def write(path: Path) -> None:
        # Imported here: this runs once per machine, and `onnx` takes 0.14 s to import.
        import safetensors
        import safetensors.numpy

        from unweave.families.bands.graph import build_graph

        try:
            tensors = safetensors.numpy.load_file(weights)
        except safetensors.SafetensorError as error:
            raise CheckpointError(f"{weights} does not contain the weights of {spec.name}: {error}") from error
        path.write_bytes(build_graph(tensors, spec).SerializeToString())

    return kept_network(spec, weights, GRAPH_FIELDS, write, GRAPH_VERSION)
