"""What a file says about its music, so that stems can say it too: tags and the cover picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# What describes the music, by FFmpeg's names; what describes the file, such as its encoder or its length, is left out.
KEPT = frozenset(
    {"title", "artist", "album", "album_artist", "composer", "performer", "genre", "date", "year", "track", "disc"}
    | {"comment", "copyright", "publisher", "language", "lyrics", "grouping", "isrc", "bpm", "initialkey", "tbpm"}
)


@dataclass(frozen=True)
class Tags:
    """Tags by FFmpeg's names, and the cover as the bytes of a JPEG or PNG file."""

    texts: Mapping[str, str] = field(default_factory=dict)
    cover: bytes | None = None


def kept_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """Of all tags of a file those that describe the music."""
    return {key.lower(): value for key, value in texts.items() if key.lower() in KEPT and value.strip()}
