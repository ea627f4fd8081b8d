"""Spleeter's ``spleeter.audio.adapter``: audio files as samples-first arrays."""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from unweave.audio.decode import AudioReader
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import find_format, parse_bitrate
from unweave.audio.resample import Resampler
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.audio import Codec

Signal = npt.NDArray[np.float32]

# The module path of the original, which old command lines name.
ORIGINAL_PACKAGE = "spleeter."


class AudioAdapter(ABC):
    """Loads and saves audio; subclass it to bring another library."""

    _DEFAULT: ClassVar[AudioAdapter | None] = None

    @abstractmethod
    def load(
        self,
        audio_descriptor: str | os.PathLike[str],
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        dtype: Any = np.float32,
    ) -> tuple[Signal, float]:
        """Samples (samples, channels) and their rate in Hz, from ``offset`` seconds on, for ``duration`` seconds."""

    @abstractmethod
    def save(
        self,
        path: str | os.PathLike[str],
        data: Signal,
        sample_rate: float,
        codec: Codec | str | None = None,
        bitrate: str | None = None,
    ) -> None:
        """Write samples (samples, channels) at ``sample_rate`` Hz."""

    @classmethod
    def default(cls) -> AudioAdapter:
        """The one adapter that is used where none is named."""
        if AudioAdapter._DEFAULT is None:
            from unweave.compat.spleeter.audio.ffmpeg import FFMPEGProcessAudioAdapter

            AudioAdapter._DEFAULT = FFMPEGProcessAudioAdapter()
        return AudioAdapter._DEFAULT

    @classmethod
    def get(cls, descriptor: str) -> AudioAdapter:
        """An adapter from the dotted path of its class; the original's own path means the default."""
        if descriptor.startswith(ORIGINAL_PACKAGE):
            descriptor = f"unweave.compat.{descriptor}"
        module, _, name = descriptor.rpartition(".")
        try:
            adapter = getattr(importlib.import_module(module), name)()
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise SpleeterError(f"cannot load the audio adapter {descriptor!r}: {error}") from error
        if not isinstance(adapter, AudioAdapter):
            raise SpleeterError(f"{descriptor} is no AudioAdapter")
        return adapter


class LibraryAudioAdapter(AudioAdapter):
    """The default: unweave's own reader and writer, with FFmpeg as a library instead of a process."""

    def load(
        self,
        audio_descriptor: str | os.PathLike[str],
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        dtype: Any = np.float32,
    ) -> tuple[Signal, float]:
        """See `AudioAdapter.load`. Surround is downmixed to two channels, where the original drops the others."""
        with AudioReader(audio_descriptor, offset_seconds=offset or 0.0, duration_seconds=duration) as reader:
            rate = int(sample_rate or reader.sample_rate)
            resampler = Resampler(reader.sample_rate, rate, reader.n_channels)
            parts = [resampler.push(block) for block in reader]
            parts.append(resampler.flush(reader.n_channels))
        return np.ascontiguousarray(np.concatenate(parts, axis=1).T, dtype=dtype), rate

    def save(
        self,
        path: str | os.PathLike[str],
        data: Signal,
        sample_rate: float,
        codec: Codec | str | None = None,
        bitrate: str | None = None,
    ) -> None:
        """See `AudioAdapter.save`; without ``codec`` the path's extension decides."""
        if data.ndim != 2 or not 1 <= data.shape[1] <= 2:
            raise SpleeterError(f"expected samples of shape (samples, 1 or 2 channels), got {data.shape}")
        target = Path(path)
        extension = codec.value if isinstance(codec, Codec) else codec or target.suffix[1:]
        target_format = find_format(extension)
        options = {"sample_rate": target_format.sample_rate(int(sample_rate)), "n_channels": data.shape[1]}
        resampler = Resampler(int(sample_rate), options["sample_rate"], data.shape[1])
        with AudioWriter(target, target_format, **options, bitrate=parse_bitrate(bitrate or "128k")) as writer:
            writer.write(resampler.push(np.asarray(data.T, dtype=np.float32)))
            writer.write(resampler.flush(data.shape[1]))
            writer.finish()
            writer.commit()
