"""Networks as files for other programs, with all that is known about them inside; and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from unweave.errors import ModelError
from unweave.files import replace_file
from unweave.models.spec import MaskModelSpec
from unweave.models.validate import check_spec, check_text, shown

# The keys of our description, and of the CRC32C of the weights, in the metadata of ONNX and safetensors files.
METADATA_KEY = "unweave"
CHECKSUM_KEY = "unweave.crc32c"


def spec_to_json(spec: MaskModelSpec) -> str:
    """``spec`` as the JSON that exported files carry."""
    fields = dataclasses.asdict(spec)
    if not spec.rest:  # the usual one: older versions of unweave know no such key
        del fields["rest"]
    return json.dumps(fields)


def spec_from_json(text: str) -> MaskModelSpec:
    """The inverse of `spec_to_json`; raises `ModelError`, which names what is wrong."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the description inside is not JSON: {error}") from error
    try:
        spec = _spec_from_fields(fields)
        check_spec(spec)
    except ModelError as error:
        raise ModelError(f"the description inside is not one of unweave's: {error}") from None
    return spec


def _spec_from_fields(fields: Any) -> MaskModelSpec:
    if not isinstance(fields, dict):
        raise ModelError("expected a JSON object")
    known = {field.name: field for field in dataclasses.fields(MaskModelSpec)}
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise ModelError(f"unknown key {shown(', '.join(unknown))}")
    required = [name for name, field in known.items() if field.default is dataclasses.MISSING]
    missing = [name for name in required if name not in fields]
    if missing:
        raise ModelError(f"{', '.join(missing)} is missing")
    for name in ("stems", "n_filters", "network_stems"):
        if name in fields:
            fields[name] = _tuple(fields[name], name)
    if "folds" in fields:
        fields["folds"] = tuple(_tuple(pair, "folds") for pair in _tuple(fields["folds"], "folds"))
        if not all(len(pair) == 2 and all(isinstance(stem, str) for stem in pair) for pair in fields["folds"]):
            raise ModelError(f"folds must be pairs of stems, got {shown(fields['folds'])}")
    for name in ("before", "rest"):
        check_text(fields.get(name, ""), name)
    return MaskModelSpec(**fields)


def _tuple(value: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ModelError(f"{key} must be a list, got {shown(value)}")
    return tuple(value)


def export_graph(graph: Path, spec: MaskModelSpec, path: Path) -> None:
    """Write the network in the ONNX file ``graph``, whose stems are those of ``spec``, with its description."""
    import onnx

    write_graph(onnx.load(graph), dataclasses.replace(spec, network_stems=(), folds=()), path)


def write_graph(model: Any, spec: MaskModelSpec, path: Path) -> None:
    """Write the ONNX ``model`` with its description."""
    import onnx

    metadata = {METADATA_KEY: spec_to_json(spec), CHECKSUM_KEY: str(_graph_checksum(model))}
    onnx.helper.set_model_props(model, metadata)
    write_file(path, model.SerializeToString())


def write_safetensors(save: Callable[[dict[str, str]], bytes], spec: MaskModelSpec, path: Path) -> None:
    """Write what ``save`` makes of its metadata: the description, and the checksum of the arrays."""
    metadata = {METADATA_KEY: spec_to_json(spec)}
    checksum = google_crc32c.value(_arrays_of(save(metadata)))
    write_file(path, save({**metadata, CHECKSUM_KEY: str(checksum)}))


def _arrays_of(raw: bytes) -> bytes:
    """What follows the header of a safetensors file, whose length its first eight bytes say."""
    return raw[8 + int.from_bytes(raw[:8], "little") :]


def _graph_checksum(model: Any) -> int:
    """The CRC32C of what an ONNX model computes: its weights, operations and their attributes.

    Not of the file's bytes: another version of protobuf may write the same model in another way.
    """
    from onnx import numpy_helper

    checksum = 0
    for tensor in model.graph.initializer:
        head = f"{tensor.name} {list(tensor.dims)} {tensor.data_type}"
        checksum = google_crc32c.extend(checksum, head.encode(errors="replace"))
        checksum = google_crc32c.extend(checksum, tensor.raw_data or numpy_helper.to_array(tensor).tobytes())
    for node in model.graph.node:
        attributes = [
            (each.name, each.i, each.f, each.s, list(each.ints), list(each.floats), list(each.strings), each.t.raw_data)
            for each in node.attribute
        ]
        told = repr((node.op_type, node.domain, list(node.input), list(node.output), attributes))
        checksum = google_crc32c.extend(checksum, told.encode(errors="replace"))
    return int(checksum)


def read_exported_spec(path: Path) -> MaskModelSpec:
    """The description inside an exported ``.onnx`` or ``.safetensors`` file; `ModelError` for any other file."""
    try:
        if path.suffix == ".safetensors":
            model, metadata = None, _safetensors_metadata(path)
            checksum = google_crc32c.value(_arrays_of(path.read_bytes())) if CHECKSUM_KEY in metadata else 0
        else:
            model = _read_onnx(path)
            metadata = {entry.key: entry.value for entry in model.metadata_props}
            checksum = _graph_checksum(model) if CHECKSUM_KEY in metadata else 0
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    if METADATA_KEY not in metadata:
        raise ModelError(f"{path} was not exported by unweave: it does not say what it separates a song into")
    if metadata.get(CHECKSUM_KEY, str(checksum)) != str(checksum):
        raise ModelError(f"{path} is damaged: the checksum of its weights does not match")
    text = metadata[METADATA_KEY]
    try:
        spec = spec_from_json(text)
        if model is not None:
            _check_graph(model, spec)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return spec


def _read_onnx(path: Path) -> Any:
    """The ONNX model at ``path``, which must be one file."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not an ONNX file, or is damaged: {error}") from error
    if not model.graph.node:
        raise ModelError(f"{path} is not an ONNX file, or is damaged: it contains no network")
    tensors = [tensor for part in (model.graph, *model.functions) for tensor in _tensors(part)]
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors):
        raise ModelError(f"{path} keeps its weights in other files; expected them inside the file")
    try:
        damaged = next((tensor.name for tensor in tensors if _has_non_finite_values(tensor)), None)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} is not an ONNX file, or is damaged: {error}") from error
    if damaged is not None:
        raise ModelError(f"{path} is damaged: its weights are not finite numbers ({damaged})")
    return model


def _tensors(part: Any) -> Iterator[Any]:
    """All tensors of a graph or function, those in its nodes and in the graphs inside of them included."""
    attributes = [attribute for node in part.node for attribute in node.attribute]
    yield from getattr(part, "initializer", ())
    for attribute in attributes:
        yield from (attribute.t, *attribute.tensors)
    sparse = [*getattr(part, "sparse_initializer", ())]
    sparse += [tensor for each in attributes for tensor in (each.sparse_tensor, *each.sparse_tensors)]
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)
    for attribute in attributes:
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph)


def _has_non_finite_values(tensor: Any) -> bool:
    """Whether a tensor of floats holds NaN or infinite values, which would make every stem of a song NaN."""
    from onnx import TensorProto, numpy_helper

    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
    return tensor.data_type in floats and not np.isfinite(numpy_helper.to_array(tensor).astype(np.float32)).all()


def _check_graph(model: Any, spec: MaskModelSpec) -> None:
    """Raise `ModelError` unless the network takes a spectrum and gives one for each stem."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in constants]
    outputs = model.graph.output
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(f"expected a network of one input and one output, got {len(inputs)} and {len(outputs)}")
    shapes = [entry.type.tensor_type.shape.dim for entry in (inputs[0], outputs[0])]
    if [len(shape) for shape in shapes] != [4, 5]:
        raise ModelError("expected a network from (segments, channels, frames, bins) to (stems, …) of these")
    n_stems = len(spec.network_stems or spec.stems)
    if shapes[1][0].dim_value != n_stems:
        raise ModelError(f"the network separates {shapes[1][0].dim_value} stems, but its description names {n_stems}")


def _safetensors_metadata(path: Path) -> dict[str, str]:
    import safetensors

    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise ModelError(f"{path} is not a safetensors file, or is damaged: {error}") from error


def write_file(path: Path, raw: bytes) -> None:
    """Write ``raw`` to ``path``, which appears whole or not at all. Raises `ModelError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, raw)
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror}") from error
