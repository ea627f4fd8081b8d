"""One way into every kind of checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unweave.errors import CheckpointError
from unweave.models.checkpoints.configuration import configuration_beside, read_configuration
from unweave.models.checkpoints.mapped import mapped
from unweave.models.checkpoints.onnx_file import read_onnx
from unweave.models.checkpoints.safetensors_file import read_safetensors
from unweave.models.checkpoints.storages import Storage, TensorReference, tensor_of
from unweave.models.checkpoints.tensors import DAMAGE, Array, Tensor, Tensors, check_total, shown
from unweave.models.checkpoints.torch_legacy import read_torch_legacy
from unweave.models.checkpoints.torch_zip import LOCAL_MAGIC, read_torch_zip
from unweave.models.checkpoints.weights import find_weights, without_prefixes

PICKLE_MAGIC = b"\x80"
SUFFIXES = (".ckpt", ".th", ".pth", ".pt", ".chpt", ".safetensors", ".onnx")
# What files with a checkpoint's name sometimes turn out to be.
FOREIGN = {
    b"version https://git-lfs": "a pointer to a file in Git LFS; fetch the file itself",
    b"<": "a web page; the download went wrong",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"\x89HDF": "an HDF5 file, as Keras writes",
    b"\x93NUMPY": "a NumPy array",
    b"GGUF": "a GGUF file",
}


@dataclass(frozen=True)
class Checkpoint:
    """The weights in a file, and what is said about them."""

    tensors: Tensors
    configuration: Mapping[str, object] | None  # plain data from inside the file and, winning, from the one beside it
    format: str  # "torch-zip", "torch-legacy", "pickle", "safetensors" or "onnx"


def is_checkpoint_name(path: Path) -> bool:
    """Whether a file is called as checkpoints are."""
    return path.suffix.lower() in SUFFIXES


def read_tensors(
    path: Path | str, configuration: Path | str | None = None, *, keeps_prefixes: bool = False
) -> Checkpoint:
    """Open a checkpoint of PyTorch, safetensors or ONNX; the format is detected from its contents.

    ``configuration`` is its YAML or JSON file; otherwise one of the same name beside the checkpoint is used, if there
    is one. Names lose what wrappers of the network put before all of them; ``keeps_prefixes`` is for safetensors files
    of our own. Arrays are mapped: opening takes no memory for them, and each is read on demand. Nothing in the file is
    executed. Raises `CheckpointError` for a file that is damaged, is not a checkpoint, or asks for anything but data.
    """
    path = Path(path)
    beside = configuration_beside(path) if configuration is None else Path(configuration)
    try:
        if not path.is_file():
            raise CheckpointError(f"there is no file {path}")
        entries, inside, kind = _read(path)
        if kind == "safetensors" and not keeps_prefixes:
            entries = without_prefixes(entries)
        check_total(entries, path.stat().st_size if kind != "onnx" else 1 << 62)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except DAMAGE as error:
        raise CheckpointError(
            f"{path}: the file is damaged ({shown(str(error) or type(error).__name__, 120)})"
        ) from error
    settings = {**inside, **(read_configuration(beside) if beside else {})}
    return Checkpoint(Tensors(entries, path), settings or None, kind)


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, object], str]:
    with path.open("rb") as file:
        head = file.read(32)
    if path.suffix.lower() == ".safetensors" or head[8:9] == b"{":
        return *read_safetensors(path), "safetensors"
    if head.startswith(LOCAL_MAGIC):
        value, storages = read_torch_zip(mapped(path))
        return *_arrays(value, storages), "torch-zip"
    if head.startswith(PICKLE_MAGIC):
        value, storages, kind = read_torch_legacy(mapped(path))
        return *_arrays(value, storages), kind
    for beginning, what in FOREIGN.items():
        if head.lstrip().startswith(beginning):
            raise CheckpointError(f"it is {what}")
    if path.suffix.lower() == ".onnx" or head.startswith(b"\x08"):
        return *read_onnx(path), "onnx"
    if not head:
        raise CheckpointError("the file is empty")
    raise CheckpointError("it is not a checkpoint of PyTorch, safetensors or ONNX, or its beginning is damaged")


def _arrays(value: object, storages: Mapping[str, Storage]) -> tuple[dict[str, Tensor], Mapping[str, object]]:
    weights, settings = find_weights(value)
    tensors = {}
    for name, item in weights.items():
        if isinstance(item, TensorReference):
            tensors[name] = tensor_of(name, item, storages[item.storage.key])
        else:
            tensors[name] = _in_memory(item)
    return tensors, settings


def _in_memory(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
    def load() -> Array:
        return array

    return Tensor(tuple(array.shape), array.dtype.name, load)
