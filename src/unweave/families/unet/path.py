"""From a model's weights, in whatever file, to its network as an ONNX file, converted once and kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from unweave.errors import ModelError
from unweave.families.kept import kept_network
from unweave.models.checkpoint_folder import checkpoint_name
from unweave.models.spec import MaskModelSpec

if TYPE_CHECKING:
    from unweave.families.unet.weights import UNetWeights

# Part of every cached file's name: raise it when `graph` builds another graph from the same weights.
GRAPH_VERSION = 2
# What the graph depends on; the rest of a spec (bins, masks, names) is applied outside of it.
GRAPH_FIELDS = ("stems", "head", "encoder_activation", "decoder_activation", "n_filters", "n_channels")


def network_path(spec: MaskModelSpec, location: Path) -> Path:
    """The ONNX file of ``spec`` from the weights at ``location``, converted if it was not yet.

    ``location`` is a folder with a TensorFlow checkpoint, a ``.safetensors`` file, or an ``.onnx`` file, which is taken
    as it is. Raises `CheckpointError` for damaged weights and `ModelError` where the cache cannot be written.
    """
    if location.suffix == ".onnx":
        return _folded_path(spec, location) if spec.folds else location
    return kept_network(spec, location, GRAPH_FIELDS, lambda path: _convert(spec, location, path), GRAPH_VERSION)


def _folded_path(spec: MaskModelSpec, location: Path) -> Path:
    """The network at ``location`` with stems added up as ``spec`` says, kept in the cache."""
    from unweave.families.folding import groups_of, write_folded

    fields = ("stems", "network_stems", "folds")
    return kept_network(
        spec, location, fields, lambda path: write_folded(location, groups_of(spec), path), GRAPH_VERSION
    )


def load_unets(spec: MaskModelSpec, location: Path) -> tuple[UNetWeights, ...]:
    """The U-Nets of ``spec`` from a folder with a checkpoint or a ``.safetensors`` file, checksums verified."""
    from unweave.families.unet.files import read_safetensors_unets
    from unweave.families.unet.weights import read_unets
    from unweave.models.tf_checkpoint import TensorBundle

    if location.suffix == ".safetensors":
        return read_safetensors_unets(location, spec)
    if location.suffix == ".onnx":
        raise ModelError(f"{location} contains a finished network, and its weights cannot be taken out of it")
    return read_unets(TensorBundle(location / checkpoint_name(location)), spec)


def _convert(spec: MaskModelSpec, location: Path, path: Path) -> None:
    # Imported here: the conversion runs once per machine, and `onnx` takes 0.14 s to import.
    from unweave.families.unet.graph import build_graph

    path.write_bytes(build_graph(load_unets(spec, location), spec).SerializeToString())
