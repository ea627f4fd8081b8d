"""Weights on this machine: found, or downloaded, verified and kept.

Two processes that need the same weights at the same time wait for each other with a lock file. A download goes to a
folder of its own next to the target, and its files are moved to the target once each has its official SHA-256.

What Spleeter downloaded to ``pretrained_models`` in the working folder is used where it lies, and never written to. A
model of one's own there is taken for the official one under Spleeter's names only (`honour_own_models`).
"""

from __future__ import annotations

import logging
import os
import shutil
from functools import lru_cache
from pathlib import Path

from unweave.errors import CheckpointError, DownloadError
from unweave.files import patiently
from unweave.models.addresses import without_keys
from unweave.models.cache import weights_folder
from unweave.models.catalogue.official import find_weights, model_with
from unweave.models.checkpoint_folder import checkpoint_name, has_checkpoint
from unweave.models.integrity import is_whole
from unweave.models.spec import DownloadProgress, Source, Weights

log = logging.getLogger(__name__)

SPLEETERS_FOLDER = "pretrained_models"  # in the working folder: Spleeter's, where there is no ``MODEL_PATH``
_honours_own_models = False


def honour_own_models() -> None:
    """From now on a model of one's own in ``pretrained_models`` stands for the official one, as in Spleeter.

    For a program that uses Spleeter's names. Elsewhere that folder may have come with a stranger's songs.
    """
    global _honours_own_models
    _honours_own_models = True


def is_offline() -> bool:
    """Whether the environment forbids connections (``UNWEAVE_OFFLINE`` set to anything but 0)."""
    return os.environ.get("UNWEAVE_OFFLINE", "0") not in ("", "0")


def home_of(weights: Weights) -> Path:
    """Where the files of ``weights`` are or will be: in the package, where Spleeter left them, or in the cache."""
    own = next((source for source in weights.sources if source.kind == "package"), None)
    if own:
        return Path(__file__).parent / own.location
    return _left_by_spleeter(weights) or weights_folder(weights.name)


def is_packaged(weights: Weights) -> bool:
    """Whether ``weights`` are part of unweave."""
    return any(source.kind == "package" for source in weights.sources)


def is_present(weights: Weights) -> bool:
    """Whether all files are in their folder and complete; False if that cannot be determined."""
    return _is_official(home_of(weights), weights)


def ensure_weights(
    name: str,
    *,
    offline: bool = False,
    origin: str | None = None,
    progress: DownloadProgress = lambda done, total, label: None,
) -> Path:
    """The folder with the weights called ``name``, verified, and fetched first if they are not there or damaged.

    ``origin`` is a path or URL that the user brings: the weights are taken from there and nowhere else. ``offline``
    opens no connection. Raises `DownloadError`, which names every source and why it failed.
    """
    weights = find_weights(name)
    if is_packaged(weights):
        folder = home_of(weights)
        if origin is not None:
            raise DownloadError(f"the weights {name} are part of unweave: there is nothing to download")
        if is_present(weights):
            return folder
        raise DownloadError(
            f"the weights {name} are part of unweave, but those in {folder} are missing or damaged: "
            "install unweave again"
        )
    left = _left_by_spleeter(weights)
    if origin is None and left is not None:
        if _is_own(left, weights):
            _tell_of_own(left)
        return left
    folder = weights_folder(name)
    is_spleeters = bool(os.environ.get("MODEL_PATH"))
    if origin is None and (_is_official(folder, weights) or (is_spleeters and _is_own(folder, weights))):
        return folder
    import filelock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.parent / f".{name}.lock"):
            if origin is not None or not _is_official(folder, weights):
                _fetch(weights, folder, offline or is_offline(), origin, progress)
    except OSError as error:
        raise DownloadError(
            f"cannot save weights in {folder}: {error.strerror or error}. Set UNWEAVE_CACHE to a writable folder"
        ) from error
    return folder


def _left_by_spleeter(weights: Weights) -> Path | None:
    """Spleeter's folder of ``weights`` in the working folder, if what is in it can be used."""
    folder = Path(SPLEETERS_FOLDER, weights.name)
    if os.environ.get("MODEL_PATH") or not os.path.isdir(folder):
        return None
    folder = folder.absolute()  # wherever the program goes from here
    is_usable = _is_official(folder, weights) or (_honours_own_models and _is_own(folder, weights))
    return folder if is_usable else None


@lru_cache
def _tell_of_own(folder: Path) -> None:
    """Once in each program, however often the weights are asked for."""
    log.warning("using the model in %s, as Spleeter does; it is not the official one", folder)


def _is_official(folder: Path, weights: Weights) -> bool:
    """Whether all files are in ``folder`` and complete; False if that cannot be determined."""
    return all(is_whole(folder / file.name, file) for file in weights.files)


def _is_own(folder: Path, weights: Weights) -> bool:
    """Whether ``folder``, one of Spleeter's, holds a checkpoint of the user's own: a sound index that is not ours.

    It is used as it is: its own checksums are verified when it is read.
    """
    official = next((file for file in weights.files if file.name.endswith(".index")), None)
    if official is None or not has_checkpoint(folder):
        return False
    name = checkpoint_name(folder)
    if is_whole(folder / f"{name}.index", official):
        return False
    from unweave.models.tf_checkpoint import TensorBundle

    try:
        return len(TensorBundle(folder / name)) > 0
    except CheckpointError:
        return False


def _fetch(weights: Weights, folder: Path, offline: bool, origin: str | None, progress: DownloadProgress) -> None:
    from unweave.models.fetch import fetch_from

    work = folder.parent / f".{weights.name}.fetching"
    staged = work / "files"
    failures = []
    for source in _sources(weights, origin):
        if offline and source.needs_network:
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
            patiently(os.replace, staged / file.name, folder / file.name)
        shutil.rmtree(work, ignore_errors=True)
        return
    shutil.rmtree(staged, ignore_errors=True)
    _remove_if_empty(work)
    raise DownloadError(without_keys(_explain(weights, failures, origin)))


def _sources(weights: Weights, origin: str | None) -> list[Source]:
    return list(weights.sources) if origin is None else [Source("archive", origin)]


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _explain(weights: Weights, failures: list[str], origin: str | None) -> str:
    told = f"the weights {weights.name} could not be fetched ({'; '.join(failures)})."
    archives = [source.location for source in weights.sources if source.kind in ("archive", "file")]
    if origin is not None or not archives:
        return told
    archive = archives[-1]  # the usual place: where GitHub runs something, the chosen one has no weights
    return (
        f"{told} To bring them by hand: download {archive} on any machine, then run "
        f"'unweave models fetch {model_with(weights.name)} --from {archive.rpartition('/')[2]}'. "
        "The models unweave:4stems and unweave:5stems need no network: they are in the package."
    )
