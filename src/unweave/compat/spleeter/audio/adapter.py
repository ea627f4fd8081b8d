"""Spleeter's ``spleeter.audio.adapter``: audio files as samples-first arrays."""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from unweave.audio.decode import AudioReader
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import find_format, parse_bitrate
from unweave.audio.resample import Resampler
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.audio import Codec
from unweave.compat.spleeter.audio.arguments import (
    Signal,
    codec_of_file,
    to_bitrate,
    to_duration,
    to_offset,
    to_path,
    to_rate,
    to_signal,
)
from unweave.errors import OptionError
from unweave.separation.remix import check_one_recording

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
        """An adapter from the dotted path of its class; the original's own path, or none, means the default."""
        if descriptor == "":
            return cls.default()
        if not isinstance(descriptor, str):
            raise SpleeterError(f"expected the dotted path of an audio adapter, got {descriptor!r}")
        if descriptor.startswith(ORIGINAL_PACKAGE):
            descriptor = f"unweave.compat.{descriptor}"
        module, _, name = descriptor.rpartition(".")
        try:
            adapter = getattr(importlib.import_module(module), name)()
        except Exception as error:  # it is somebody else's code, which may fail in any way
            raise SpleeterError(f"cannot load the audio adapter {descriptor!r}: {error}") from error
        if not isinstance(adapter, AudioAdapter):
            raise SpleeterError(f"{descriptor} is not an AudioAdapter")
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
        """See `AudioAdapter.load`. Surround is downmixed to two channels, where the original drops the others.

        ``dtype`` is a type of floats: the samples lie in -1 to 1, and integers would lose them. Raises `OptionError`
        for arguments that make no sense, `AudioReadError` for a file that cannot be read.
        """
        try:
            wanted = np.dtype(dtype)
        except TypeError as error:
            raise OptionError(f"expected a floating-point type, got {dtype!r}") from error
        if not np.issubdtype(wanted, np.floating):
            raise OptionError(f"expected a floating-point type, for samples from -1 to 1, got {wanted}")
        start, seconds = to_offset(offset), to_duration(duration)
        rate = None if sample_rate is None else to_rate(sample_rate)
        is_open = hasattr(audio_descriptor, "read")
        source = audio_descriptor if is_open else to_path(audio_descriptor, "audio_descriptor")
        with AudioReader(source, offset_seconds=start, duration_seconds=seconds) as reader:
            rate = rate or reader.sample_rate
            resampler = Resampler(reader.sample_rate, rate, reader.n_channels)
            parts = [resampler.push(block) for block in reader]
            parts.append(resampler.flush(reader.n_channels))
        return np.ascontiguousarray(np.concatenate(parts, axis=1).T, dtype=wanted), rate

    def save(
        self,
        path: str | os.PathLike[str],
        data: Signal,
        sample_rate: float,
        codec: Codec | str | None = None,
        bitrate: str | None = None,
    ) -> None:
        """See `AudioAdapter.save`; without ``codec``, and where it is wav, the path's extension decides.

        Raises `OptionError` for arguments that make no sense, `AudioWriteError` where the file cannot be written.
        """
        samples = to_signal(data, "signal")
        n_channels = samples.shape[1]
        if n_channels > 2:
            raise OptionError(f"expected a signal of shape (samples, 1 or 2 channels), got {samples.shape}")
        target, rate = to_path(path, "path"), to_rate(sample_rate)
        target_format = find_format(target.suffix[1:] if codec is None else codec_of_file(codec, target))
        check_one_recording(target, target_format)
        options = {"sample_rate": target_format.sample_rate(rate), "n_channels": n_channels}
        resampler = Resampler(rate, options["sample_rate"], n_channels)
        with AudioWriter(target, target_format, **options, bitrate=parse_bitrate(to_bitrate(bitrate))) as writer:
            writer.write(resampler.push(np.ascontiguousarray(samples.T)))
            writer.write(resampler.flush(n_channels))
            writer.finish()
            writer.tell_of_clipping()
            writer.commit()


def get_default_audio_adapter() -> AudioAdapter:
    """`AudioAdapter.default` by the name that it had in versions before 2.1."""
    return AudioAdapter.default()


def get_audio_adapter(descriptor: str | None) -> AudioAdapter:
    """`AudioAdapter.get` by the name that it had in versions before 2.1."""
    return AudioAdapter.get(descriptor or "")
