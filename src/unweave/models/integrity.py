"""Whether a file of official weights is what it must be, to the last byte, quickly enough to ask at every start.

SHA-256 is what the catalogue promises, but takes half a second for the largest file. CRC32C takes 20 to 40 ms on
processors with an instruction for it (27 GB/s from memory), and notices all damage that is not made on purpose. So it
is compared where it is known: from the catalogue, or from the last time that the SHA-256 was found to be right.
"""

from __future__ import annotations

import os
from pathlib import Path

from unweave.files import replace_file
from unweave.models.cache import checksums_folder
from unweave.models.files import file_crc32c, file_sha256
from unweave.models.spec import WeightsFile


def is_whole(path: Path, file: WeightsFile) -> bool:
    """Whether the file at ``path`` is ``file``; a file that cannot be read is not."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) != file.size:
            return False
        if file.crc32c is not None:
            return file_crc32c(path) == file.crc32c
        found = file_crc32c(path)
        if found == _learnt(file):
            return True
        if file_sha256(path) != file.sha256:
            return False
    except OSError:
        return False
    _learn(file, found)
    return True


def _learnt(file: WeightsFile) -> int | None:
    try:
        return int((checksums_folder() / file.sha256).read_text())
    except (OSError, ValueError):
        return None


def _learn(file: WeightsFile, crc32c: int) -> None:
    try:
        checksums_folder().mkdir(parents=True, exist_ok=True)
        replace_file(checksums_folder() / file.sha256, str(crc32c).encode())
    except OSError:
        return  # then the SHA-256 is computed again next time
