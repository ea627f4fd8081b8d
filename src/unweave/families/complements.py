"""What remains of a mixture when one stem is taken out of it, by name."""

from __future__ import annotations

PAIRS = {"vocals": "instrumental", "lead_vocals": "backing_vocals", "speech": "noise"}
WITHOUT = "no_"


def complement_of(stem: str) -> str:
    """The name of the mixture without ``stem``, which is written in small letters and with underscores.

    >>> [complement_of(stem) for stem in ("vocals", "instrumental", "bass", "no_crowd")]
    ['instrumental', 'vocals', 'no_bass', 'crowd']
    """
    for one, other in PAIRS.items():
        if stem in (one, other):
            return other if stem == one else one
    return stem.removeprefix(WITHOUT) if stem.startswith(WITHOUT) else f"{WITHOUT}{stem}"
