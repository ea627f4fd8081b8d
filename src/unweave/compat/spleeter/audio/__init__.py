"""Spleeter's ``spleeter.audio``."""

from enum import Enum


class _Text(str, Enum):
    """Members that read as their values in f-strings, too, in all versions of Python: ``f"vocals.{Codec.MP3}"``."""

    def __str__(self) -> str:
        return str(self.value)


class Codec(_Text):
    """Formats that can be written."""

    WAV = "wav"
    MP3 = "mp3"
    OGG = "ogg"
    M4A = "m4a"
    WMA = "wma"
    FLAC = "flac"


class STFTBackend(_Text):
    """What computed the spectra in versions 2.0 to 2.3 of the original; here it has no effect."""

    AUTO = "auto"
    TENSORFLOW = "tensorflow"
    LIBROSA = "librosa"


__all__ = ["Codec", "STFTBackend"]
