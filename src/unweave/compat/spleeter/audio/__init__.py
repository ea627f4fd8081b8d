"""Spleeter's ``spleeter.audio``."""

from enum import Enum


class Codec(str, Enum):
    """Formats that can be written."""

    WAV = "wav"
    MP3 = "mp3"
    OGG = "ogg"
    M4A = "m4a"
    WMA = "wma"
    FLAC = "flac"


__all__ = ["Codec"]
