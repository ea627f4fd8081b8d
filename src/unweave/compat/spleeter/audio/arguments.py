"""The original takes arguments of many kinds: here they become what unweave takes, or an error in its own terms."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.audio.arguments import is_number
from unweave.audio.formats import FORMATS, parse_bitrate
from unweave.compat.spleeter.audio import Codec
from unweave.errors import OptionError
from unweave.models.validate import MAX_RATE
from unweave.separation.checks import MOST_CHANNELS, not_floats

Signal = npt.NDArray[np.float32]

DEFAULT_BITRATE = "128k"


def to_signal(samples: Any, what: str = "waveform") -> Signal:
    """``samples`` as float32 (samples, channels). Raises `OptionError` for other shapes and for integers."""
    try:
        array = np.asarray(samples)
    except Exception as error:  # whatever a foreign type raises: a ragged list, a tensor with a gradient
        raise OptionError(
            f"expected a {what} of shape (samples, channels), got {type(samples).__name__}: {error}"
        ) from error
    if array.ndim == 2 and 1 <= array.shape[0] <= MOST_CHANNELS < array.shape[1]:
        raise OptionError(
            f"expected a {what} of shape (samples, channels), got (channels, samples): {array.shape}; transpose it"
        )
    if array.ndim != 2 or not 1 <= array.shape[1] <= MOST_CHANNELS:
        raise OptionError(f"expected a {what} of shape (samples, channels), got {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        raise not_floats(f"a {what}", array.dtype)
    return array.astype(np.float32, copy=False)


def to_path(path: Any, what: str) -> Path:
    """A path, given as text or as an object that stands for one. Raises `OptionError`."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise OptionError(f"expected a path as {what}, got {path!r}")
    return Path(text)


def to_template(template: Any) -> str:
    """A template of file names. Raises `OptionError`."""
    if not isinstance(template, str):
        raise OptionError(f"expected a template of file names as filename_format, got {template!r}")
    return template


def to_rate(rate: Any) -> int:
    """A sample rate in Hz, given as any number that is whole. Raises `OptionError`."""
    if not is_number(rate) or not 1 <= rate <= MAX_RATE or rate != int(rate):
        raise OptionError(f"expected a sample rate in whole Hz up to {MAX_RATE}, got {rate!r}")
    return int(rate)


def to_offset(seconds: Any) -> float:
    """Where to start, in seconds; None is the beginning. Raises `OptionError`."""
    if seconds is None:
        return 0.0
    if not is_number(seconds) or seconds < 0:
        raise OptionError(f"expected an offset of 0 or more seconds, got {seconds!r}")
    return float(seconds)


def to_duration(seconds: Any) -> float | None:
    """How long, in seconds; None is to the end. Raises `OptionError`."""
    if seconds is None:
        return None
    if not is_number(seconds) or seconds <= 0:
        raise OptionError(f"expected a duration above 0 seconds, got {seconds!r}")
    return float(seconds)


def to_bitrate(bitrate: Any) -> str:
    """A bitrate as text; plain numbers below 1000 are kilobits per second. Raises `OptionError`."""
    if bitrate is None:
        return DEFAULT_BITRATE
    text = bitrate
    if is_number(bitrate):
        text = f"{bitrate:g}k" if bitrate < 1000 else str(round(bitrate))
    if not isinstance(text, str):
        raise OptionError(f"expected a bitrate like 128k, got {bitrate!r}")
    parse_bitrate(text)
    return text


def to_extension(codec: Any) -> str:
    """The extension of files of ``codec``, a `Codec` or its name. Raises `OptionError`."""
    if isinstance(codec, Codec):
        return codec.value
    if not isinstance(codec, str):
        raise OptionError(f"expected a codec ({', '.join(known.value for known in Codec)}), got {codec!r}")
    return codec


def codec_of_file(codec: Any, name: str | os.PathLike[str]) -> str:
    """In which codec a file called ``name`` is written where ``codec`` was asked for. Raises `OptionError`.

    In the original wav, the default, means no codec at all: FFmpeg goes by the extension, and ``{instrument}.mp3``
    gives MP3.
    """
    asked = to_extension(codec)
    extension = PurePath(name).suffix[1:].lower()
    if asked == Codec.WAV and extension in FORMATS and not FORMATS[extension].holds_several:
        return extension
    return asked
