"""What MDX-Net and VR have in common: Ultimate Vocal Remover tells their files by a checksum, and names their stems."""

from __future__ import annotations

import hashlib
from pathlib import Path

from unweave.families.complements import complement_of

HASHED_BYTES = 10_240_000  # at the end of a file


def checksum(path: Path) -> str:
    """The MD5 by which UVR tells its files: of the last 10 240 000 bytes, or of all where there are fewer."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - HASHED_BYTES))
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def stem_names(primary: str) -> tuple[str, str]:
    """The names of a stem and of what remains of the mixture, from the stem's name in UVR's tables.

    >>> stem_names("Vocals"), stem_names("No Crowd"), stem_names("Bass")
    (('vocals', 'instrumental'), ('no_crowd', 'crowd'), ('bass', 'no_bass'))
    """
    stem = primary.strip().casefold().replace(" ", "_")
    return stem, complement_of(stem)


def is_stem(stem: object) -> bool:
    """Whether ``stem`` is fit to be the name of a file: letters, digits, spaces, hyphens and underscores."""
    return isinstance(stem, str) and 0 < len(stem.strip()) <= 60 and all(c.isalnum() or c in " -_" for c in stem)
