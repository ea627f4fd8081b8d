"""What most people want, and the models that give it, the better first.

One that must be fetched waits for its turn where another needs no download (figures: docs/quality.md).
"""

from __future__ import annotations

PURPOSES = {
    "voice": ("spleeter:2stems",),
    "four": ("unweave:4stems-cascade", "unweave:4stems"),
    "five": ("unweave:5stems-cascade", "unweave:5stems"),
    "best": ("htdemucs",),
}
