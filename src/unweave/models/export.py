"""Networks as files for other programs, with all that is known about them inside; and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unweave.errors import CheckpointError, ModelError
from unweave.models.files import replace_file
from unweave.models.spec import MaskModelSpec
from unweave.models.unet_weights import UNetWeights, unets_from_arrays, unets_to_arrays

# The key of our description in the metadata of ONNX and safetensors files.
METADATA_KEY = "unweave"


def spec_to_json(spec: MaskModelSpec) -> str:
    """``spec`` as the JSON that exported files carry."""
    return json.dumps(dataclasses.asdict(spec))


def spec_from_json(text: str) -> MaskModelSpec:
    """The inverse of `spec_to_json`; raises `ModelError`."""
    try:
        fields = json.loads(text)
        fields["stems"] = tuple(fields["stems"])
        for name in ("n_filters", "network_stems"):
            fields[name] = tuple(fields.get(name, ()))
        fields["folds"] = tuple((own, target) for own, target in fields.get("folds", ()))
        return MaskModelSpec(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"the description inside is not one of unweave's: {error}") from error


def export_onnx(unets: Sequence[UNetWeights], spec: MaskModelSpec, path: Path) -> None:
    """Write the network as ONNX: magnitudes (segments, channels, frames, bins) → (stems, …) magnitudes."""
    from unweave.models.onnx_graph import build_graph

    write_graph(build_graph(unets, spec), spec, path)


def export_graph(graph: Path, spec: MaskModelSpec, path: Path) -> None:
    """Write the network in the ONNX file ``graph``, whose stems are those of ``spec``, with its description."""
    import onnx

    write_graph(onnx.load(graph), dataclasses.replace(spec, network_stems=(), folds=()), path)


def write_graph(model: Any, spec: MaskModelSpec, path: Path) -> None:
    """Write the ONNX ``model`` with its description."""
    import onnx

    onnx.helper.set_model_props(model, {METADATA_KEY: spec_to_json(spec)})
    write_file(path, model.SerializeToString())


def export_safetensors(unets: Sequence[UNetWeights], spec: MaskModelSpec, path: Path) -> None:
    """Write the weights as safetensors, each array named after its stem, layer and part."""
    import safetensors.numpy

    arrays = {name: np.ascontiguousarray(array) for name, array in unets_to_arrays(unets, spec.stems).items()}
    write_file(path, safetensors.numpy.save(arrays, metadata={METADATA_KEY: spec_to_json(spec)}))


def read_exported_spec(path: Path) -> MaskModelSpec:
    """The description inside an exported ``.onnx`` or ``.safetensors`` file; `ModelError` for any other file."""
    try:
        properties = _safetensors_properties(path) if path.suffix == ".safetensors" else _onnx_properties(path)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    if METADATA_KEY not in properties:
        raise ModelError(f"{path} was not exported by unweave: it does not say what it separates")
    return spec_from_json(properties[METADATA_KEY])


def read_safetensors_unets(path: Path, spec: MaskModelSpec) -> tuple[UNetWeights, ...]:
    """The U-Nets in a file that `export_safetensors` wrote. Raises `CheckpointError` for a damaged one."""
    import safetensors
    import safetensors.numpy

    try:
        return unets_from_arrays(safetensors.numpy.load_file(path), spec.stems)
    except (safetensors.SafetensorError, KeyError, OSError) as error:
        raise CheckpointError(f"{path} does not hold the weights of {spec.name}: {error}") from error


def _onnx_properties(path: Path) -> dict[str, str]:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise ModelError(f"{path} is not an ONNX file: {error}") from error
    return {entry.key: entry.value for entry in model.metadata_props}


def _safetensors_properties(path: Path) -> dict[str, str]:
    import safetensors

    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise ModelError(f"{path} is not a safetensors file: {error}") from error


def write_file(path: Path, raw: bytes) -> None:
    """Write ``raw`` to ``path``, which appears whole or not at all. Raises `ModelError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, raw)
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror}") from error
