"""Models of the list that are checkpoints made by others: fetched, checked and added."""

from __future__ import annotations

import shutil
from pathlib import Path

import filelock

from unweave.errors import DownloadError
from unweave.families.foreign import add
from unweave.models.added import added_model_folder
from unweave.models.addresses import without_keys
from unweave.models.cache import downloads_folder
from unweave.models.catalogue import Entry
from unweave.models.files import is_sealed
from unweave.models.hub import is_offline
from unweave.models.model_hub import url_of
from unweave.models.obtain import obtain
from unweave.models.spec import DownloadProgress


def fetch(entry: Entry, *, offline: bool = False, progress: DownloadProgress = lambda done, total, label: None) -> None:
    """Bring the files of ``entry`` from the first source that has them, and add them under its name.

    Does nothing where that was done before. What was downloaded is deleted once it is added; what broke off is kept and
    taken up next time. Two processes that need the same model wait for each other. Raises `DownloadError`, which names
    every source and why it failed, and `CheckpointError` for files that are not what they should be.
    """
    require_fetchable(entry)
    folder = downloads_folder() / entry.name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.parent / f".{entry.name}.lock"):
            if not is_sealed(added_model_folder(entry.name)):
                _fetch(entry, folder, offline or is_offline(), progress)
    except OSError as error:
        raise DownloadError(
            f"cannot save {entry.name} in {folder}: {error.strerror or error}. Set UNWEAVE_CACHE to a writable folder"
        ) from error


def require_fetchable(entry: Entry) -> None:
    """Raise `DownloadError` for a model whose file only the user can bring, saying how."""
    if entry.download is None:
        raise DownloadError(by_hand(entry))


def by_hand(entry: Entry) -> str:
    """How a user brings a model that cannot be fetched."""
    wanted = entry.downloads[0]
    where = " and ".join(f"{file.name} from {without_keys(url_of(file.sources[0]))}" for file in wanted.all_files)
    names = " ".join(file.name for file in wanted.files)
    config = f" --config {wanted.configuration.name}" if wanted.configuration else ""
    return (
        f"{entry.name} cannot be fetched by unweave, because no checksum is known that would tell whether the right "
        f"file came: download {where} yourself, then run 'unweave models add {entry.name} {names}{config}'"
    )


def _fetch(entry: Entry, folder: Path, offline: bool, progress: DownloadProgress) -> None:
    failures = []
    for number, download in enumerate(entry.downloads):
        if not download.is_fetchable:
            continue
        place = folder / str(number)
        try:
            obtain(download, place, offline=offline, progress=progress)
        except DownloadError as error:
            failures.append(str(error))
            continue
        configuration = place / download.configuration.name if download.configuration else None
        add(entry.name, [place / file.name for file in download.files], configuration, download.settings)
        shutil.rmtree(folder, ignore_errors=True)
        return
    _remove_empty(folder)
    raise DownloadError(
        f"{entry.name} could not be fetched: {'; '.join(failures)}. To bring it by hand: download it on any machine, "
        f"then run 'unweave models add {entry.name} FILE'"
    )


def _remove_empty(folder: Path) -> None:
    """Leave no folder that holds nothing to go on from."""
    for each in (*folder.iterdir(), folder) if folder.is_dir() else ():
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()
