"""Tell an MDX-Net by its graph, and what the graph does not say from the table of published files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unweave.errors import CheckpointError
from unweave.families.mdx.parameters import N_BINS, Parameters, parameters_of
from unweave.families.mdx.spec import MdxSpec
from unweave.families.uvr import stem_names
from unweave.models.checkpoints import Tensors

if TYPE_CHECKING:
    from unweave.families.mdx.graph import Interface

DEFAULT_FRAMES = 256
SUFFIX = ".onnx"


def recognise(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> MdxSpec | None:
    """The description of the MDX-Net that ``tensors`` were read from, or None where they are of another family.

    ``configuration`` is only needed for files that are not in UVR's table, and says things by UVR's names:
    ``mdx_n_fft_scale_set``, ``primary_stem``, ``compensate``; the table itself will do as well. Raises
    `CheckpointError` for a graph that cannot be computed, and where parameters are missing or do not fit it.
    """
    if tensors.path.suffix.lower() != SUFFIX:
        return None
    # `onnx` takes 0.14 s to import.
    from unweave.families.mdx.graph import check_operators, interface_of, read_graph, with_fixed_shapes, without_weights

    model = read_graph(tensors.path)
    interface = interface_of(model) if model else None
    if model is None or interface is None:
        return None
    check_operators(model, name)
    spec = _spec(tensors, interface, parameters_of(tensors.path, configuration, name), name)
    with_fixed_shapes(model, spec)
    return replace(spec, graph=without_weights(model, name))


def _spec(tensors: Tensors, interface: Interface, found: Parameters, name: str) -> MdxSpec:
    n_bins = interface.n_bins or found.n_bins
    if n_bins is None:
        raise CheckpointError(f"{name} leaves the number of its bins open: a configuration with {N_BINS} is needed")
    if found.n_bins not in (None, n_bins):
        raise CheckpointError(f"{name} takes {n_bins} bins, its parameters say {found.n_bins}")
    if found.n_fft % 2 or n_bins > found.n_fft // 2 + 1:
        raise CheckpointError(f"{name} takes {n_bins} bins, which a window of {found.n_fft} samples does not have")
    stem, complement = stem_names(found.stem)
    spec = MdxSpec(
        name=name,
        stems=(stem,),
        complement=complement,
        n_fft=found.n_fft,
        n_bins=n_bins,
        # What the graph was made for holds, whatever is written elsewhere.
        n_frames=interface.n_frames or found.n_frames or DEFAULT_FRAMES,
        compensation=found.compensation,
        denoise=found.denoise,
        weights=tuple((key, tensors.shape(key)) for key in tensors),
    )
    if spec.segment_samples <= spec.n_fft:
        raise CheckpointError(f"{name} has segments of {spec.n_frames} frames, too short for a window of {spec.n_fft}")
    return spec
