"""Folders that can tell whether they are what was written."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import google_crc32c

from unweave.files import replace_file as replace_file

SEAL = "seal.json"


def sealed_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """``folder``, filled by ``fill`` if it is not there yet or is not as it was sealed.

    It is filled under another name, sealed with the length and CRC32C of each file, and renamed; of two processes that
    do so at once, one wins. Raises OSError.
    """
    if is_sealed(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".filling-") as temporary:
        staged = Path(temporary) / "folder"
        staged.mkdir()
        fill(staged)
        seal = {path.name: [path.stat().st_size, file_crc32c(path)] for path in staged.iterdir()}
        (staged / SEAL).write_text(json.dumps(seal))
        if folder.exists() and not is_sealed(folder):
            shutil.rmtree(folder)
        try:
            staged.rename(folder)
        except OSError:
            if not is_sealed(folder):  # unless another process was faster
                raise
    return folder


def is_sealed(folder: Path) -> bool:
    """Whether ``folder`` holds what it was sealed with."""
    try:
        seal = json.loads((folder / SEAL).read_text())
        return bool(seal) and all(
            (folder / name).stat().st_size == size and file_crc32c(folder / name) == crc
            for name, (size, crc) in seal.items()
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def file_crc32c(path: Path) -> int:
    """The CRC32C of a file."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = google_crc32c.extend(checksum, block)
    return checksum
