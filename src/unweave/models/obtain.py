"""The files of a model of the list, brought to this machine and checked, from the first source that has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unweave.errors import DownloadError
from unweave.files import patiently
from unweave.models.addresses import without_keys
from unweave.models.catalogue import Download, Entry, EntryFile
from unweave.models.catalogue.entry import SHA256_DIGITS
from unweave.models.fetch import download
from unweave.models.files import file_sha256
from unweave.models.model_hub import token_for, url_of
from unweave.models.spec import DownloadProgress, Source

# How far a size may be off where no checksum is known: copies of a file differ in how it was packed, if not in what.
SIZE_TOLERANCE = 0.01
SPARE_BYTES = 1 << 20  # that a server may send more than was announced; whatever is wrong is found out later
LARGEST_BYTES = 8 << 30  # of a file whose size is not known
REFUSALS = (" 401 ", " 403 ")  # in what is said of a server's answer


def obtain(wanted: Download, folder: Path, *, offline: bool, progress: DownloadProgress) -> None:
    """Bring the files of ``wanted`` into ``folder``, going on from what an earlier try left there.

    Raises `DownloadError`, which names every source and why it failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in wanted.all_files:
        if not is_right(folder / file.name, file):
            _bring(file, folder, offline, progress)


def is_right(path: Path, file: EntryFile) -> bool:
    """Whether ``path`` is ``file``, as far as that is known: by its checksum, or else by its size."""
    if not path.is_file():
        return False
    if file.sha256:
        return file_sha256(path).startswith(file.sha256)
    return not file.size or abs(path.stat().st_size - file.size) <= file.size * SIZE_TOLERANCE


def matching(entry: Entry, files: Sequence[Path]) -> Download | None:
    """The form of ``entry`` that ``files``, under whatever names, are; None where they are none of them."""
    for each in entry.downloads:
        left = list(files)
        for file in each.files:
            found = next((path for path in left if is_right(path, file)), None)
            if found is None:
                break
            left.remove(found)
        else:
            if not left:
                return each
    return None


def _bring(file: EntryFile, folder: Path, offline: bool, progress: DownloadProgress) -> None:
    failures = []
    for source in file.trusted:
        url = url_of(source)
        if offline and source.needs_network:
            failures.append(f"{url}: offline")
            continue
        try:
            _download(file, source, folder, progress)
        except DownloadError as error:
            is_closed = source.kind == "hub" and any(code in f" {error} " for code in REFUSALS)
            failures.append(f"{url}: {error}{'; set HF_TOKEN if you have an account there' if is_closed else ''}")
        else:
            return
    raise DownloadError(without_keys(f"{file.name} (tried {'; '.join(failures)})"))


def _download(file: EntryFile, source: Source, folder: Path, progress: DownloadProgress) -> None:
    sha256 = file.sha256 if len(file.sha256) == SHA256_DIGITS else None
    limit = 2 * file.size + SPARE_BYTES if file.size else LARGEST_BYTES
    whole = download(url_of(source), sha256, folder, progress, limit, token_for(source))
    if sha256 is None and not is_right(whole, file):
        whole.unlink()
        told = f"a SHA-256 that begins with {file.sha256}" if file.sha256 else f"{file.size} bytes"
        raise DownloadError(f"the downloaded file is not the published one (expected {told}) and was deleted")
    patiently(whole.replace, folder / file.name)
