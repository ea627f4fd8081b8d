"""U-Nets as files for other programs, with all that is known about them inside; and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unweave.errors import CheckpointError
from unweave.families.unet.weights import UNetWeights, check_shapes, unets_from_arrays, unets_to_arrays
from unweave.models.export import write_graph, write_safetensors
from unweave.models.spec import MaskModelSpec


def export_onnx(unets: Sequence[UNetWeights], spec: MaskModelSpec, path: Path) -> None:
    """Write the network as ONNX: magnitudes (segments, channels, frames, bins) → (stems, …) magnitudes."""
    from unweave.families.unet.graph import build_graph

    write_graph(build_graph(unets, spec), spec, path)


def export_safetensors(unets: Sequence[UNetWeights], spec: MaskModelSpec, path: Path) -> None:
    """Write the weights as safetensors, each array named after its stem, layer and part."""
    import safetensors.numpy

    arrays = {name: np.ascontiguousarray(array) for name, array in unets_to_arrays(unets, spec.stems).items()}
    write_safetensors(lambda metadata: safetensors.numpy.save(arrays, metadata=metadata), spec, path)


def read_safetensors_unets(path: Path, spec: MaskModelSpec) -> tuple[UNetWeights, ...]:
    """The U-Nets in a file that `export_safetensors` wrote. Raises `CheckpointError` for a damaged one."""
    import safetensors
    import safetensors.numpy

    try:
        unets = unets_from_arrays(safetensors.numpy.load_file(path), spec.stems)
    except KeyError as error:
        raise CheckpointError(f"{path} does not contain the weights of {spec.name}: {error} is missing") from error
    except (safetensors.SafetensorError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} does not contain the weights of {spec.name}: {error}") from error
    try:
        check_shapes(unets, spec)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return unets
