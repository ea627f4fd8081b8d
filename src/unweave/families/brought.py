"""What a user brings as a model: a file, several files, a folder or an archive of them, made into one checkpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from unweave.errors import CheckpointError
from unweave.families.bag import read_members
from unweave.families.bag.members import published_bag
from unweave.families.bag.shares import read_bag
from unweave.families.configuration import naming
from unweave.families.openunmix.targets import SETTINGS, join_targets, shared_settings, target_of
from unweave.models.added import GRAPH, MAX_BYTES
from unweave.models.archives import ArchiveError, copy_limited, damage_told, members
from unweave.models.checkpoints import Checkpoint, is_checkpoint_name, read_configuration, read_tensors
from unweave.models.checkpoints.configuration import SUFFIXES, configuration_beside

TORCH_PICKLE = "data.pkl"  # in every file of PyTorch's, which is a zip archive


@dataclass(frozen=True)
class Brought:
    """A checkpoint, however many files it came in."""

    checkpoint: Checkpoint
    name: str  # for messages, and for families that know files by their names
    files: tuple[Path, ...]  # of the weights

    @property
    def n_bytes(self) -> int:
        """The size of all weights."""
        return sum(file.stat().st_size for file in self.files)


def holds_checkpoints(origin: Path) -> bool:
    """Whether ``origin`` is a checkpoint, or a folder or an archive of some, rather than a model that unweave or
    Spleeter trained. Raises `CheckpointError` for an archive that is damaged, and for a checkpoint that is not called
    like one."""
    if origin.is_file() and is_checkpoint_name(origin):
        return True
    if not origin.exists():
        return False
    names = _names(origin)
    if origin.is_file() and TORCH_PICKLE in names:
        raise CheckpointError(f"{origin} is a checkpoint of PyTorch under another name: rename it to end in .ckpt")
    is_trained = GRAPH in names or any(name.endswith(".index") for name in names)
    return not is_trained and any(is_checkpoint_name(Path(name)) for name in names)


@contextmanager
def opened(
    paths: Sequence[Path], configuration: Path | None, settings: Mapping[str, object] | None = None
) -> Iterator[Brought]:
    """The checkpoint in ``paths``; its arrays can be read inside the context.

    ``configuration`` is the YAML or JSON file that belongs to it; otherwise it is looked for among and beside the
    files, and else it is as if it said ``settings``. Raises `CheckpointError`.
    """
    # Whoever caught an exception may hold arrays still, whose files Windows does not remove.
    with tempfile.TemporaryDirectory(prefix="unweave-", ignore_cleanup_errors=True) as unpacked:
        files = [file for path in paths for file in _files(path, Path(unpacked))]
        weights = [file for file in files if is_checkpoint_name(file)]
        configurations = [file for file in files if file.suffix.lower() in SUFFIXES]
        name = paths[0].name
        if not weights:
            raise CheckpointError(f"{name} holds no checkpoint (.ckpt, .th, .pth, .safetensors or .onnx)")
        if configuration is not None:
            configurations = [configuration]
        elif len(weights) > 1:
            configuration = next((file for file in configurations if file.name == SETTINGS), None)
        checkpoint = _read(weights, configurations, configuration, settings or {}, name)
        try:
            yield Brought(checkpoint, name, tuple(weights))
        finally:
            checkpoint.tensors.close()


def _read(
    weights: list[Path],
    configurations: list[Path],
    shared: Path | None,
    settings: Mapping[str, object],
    name: str,
) -> Checkpoint:
    """``shared`` is the one of the ``configurations`` that is about all of several networks."""
    if len(weights) > 1:
        told = [*map(read_configuration, configurations), settings]
        with naming(name):
            bag = next(filter(None, map(read_bag, told)), None) or published_bag(weights)
            if bag is not None:
                return read_members(bag, weights)
    if len(weights) == 1:
        # Repositories have a JSON file about something else, too.
        yamls = [file for file in configurations if file.suffix.lower() != ".json"]
        only = next((files[0] for files in (configurations, yamls) if len(files) == 1), None)
        chosen = only if len(configurations) == 1 else configuration_beside(weights[0]) or only
        checkpoint = read_tensors(weights[0], chosen)
        shared_by_all = shared_settings(weights[0].parent) if target_of(weights[0]) else {}
        said = {**shared_by_all, **(checkpoint.configuration or {})}
        if chosen is None:
            said |= settings
        return replace(checkpoint, configuration=said or None)
    if all(target_of(file) for file in weights):
        return join_targets(weights, weights[0].parent, shared)
    found = ", ".join(file.name for file in weights[:6])
    raise CheckpointError(
        f"{name} holds {len(weights)} networks ({found}), and nothing says how they go together: expected those of "
        "Open-Unmix, called after their stems, or a bag of Demucs' with its YAML file; add any other by itself"
    )


def _files(path: Path, unpacked: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    if is_checkpoint_name(path) or path.suffix.lower() in SUFFIXES:
        return [path]
    return _unpacked(path, unpacked)


def _unpacked(archive: Path, folder: Path) -> list[Path]:
    """The checkpoints and configurations in an archive, under their bare names."""
    files = []
    with _faults_told(archive, "unpack"):
        for member in members(archive, MAX_BYTES):
            file = folder / member.name
            if member.name.startswith(".") or not (is_checkpoint_name(file) or file.suffix.lower() in SUFFIXES):
                continue
            if file.exists():
                raise CheckpointError(f"{archive} contains several files called {member.name}")
            with damage_told(), member.open() as stream, file.open("wb") as out:
                copy_limited(stream, out, member.size)
            files.append(file)
    return sorted(files)


def _names(origin: Path) -> list[str]:
    with _faults_told(origin):
        if origin.is_dir():
            return [file.name for file in origin.iterdir()]
        return [member.name for member in members(origin, MAX_BYTES)]


@contextmanager
def _faults_told(origin: Path, what: str = "read") -> Iterator[None]:
    """Turns what goes wrong while a folder or an archive is read, or unpacked, into `CheckpointError`."""
    try:
        yield
    except ArchiveError as error:
        raise CheckpointError(f"{origin} cannot be used as a folder, .tar.gz or .zip: {error}") from error
    except OSError as error:
        raise CheckpointError(f"cannot {what} {origin}: {error.strerror or error}") from error
