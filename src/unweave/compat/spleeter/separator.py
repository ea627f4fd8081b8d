"""Spleeter's ``spleeter.separator``."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.audio.formats import find_format
from unweave.compat.spleeter import SpleeterError, model_name
from unweave.compat.spleeter.audio import Codec
from unweave.compat.spleeter.audio.adapter import AudioAdapter, LibraryAudioAdapter
from unweave.separation.output import OutputOptions, stem_paths
from unweave.separation.separator import Separator as OurSeparator

Signal = npt.NDArray[np.float32]


class Separator:
    """The original's separator: samples first, 44.1 kHz, two channels.

    ``multiprocess`` is accepted and has no effect: there is no pool of processes, and so none of its traps.
    """

    def __init__(
        self, params_descriptor: str = "spleeter:2stems", MWF: bool = False, multiprocess: bool = True
    ) -> None:
        self._separator = OurSeparator(model_name(params_descriptor), quality="exact", wiener="track" if MWF else None)
        self._sample_rate = self._separator.spec.sample_rate
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="unweave-spleeter")
        self._tasks: list[Future[Any]] = []

    def separate(self, waveform: Signal, audio_descriptor: str | None = "") -> dict[str, Signal]:
        """Stems (samples, 2) of a waveform (samples, channels) at the model's rate; mono is duplicated."""
        if waveform.ndim != 2:
            raise SpleeterError(f"expected a waveform of shape (samples, channels), got {waveform.shape}")
        mixture = np.ascontiguousarray(waveform.T, dtype=np.float32)
        if len(mixture) == 1:
            mixture = np.repeat(mixture, 2, axis=0)
        stems = self._separator.separate(mixture, self._sample_rate)
        return {name: np.ascontiguousarray(stem.T) for name, stem in stems.items()}

    def separate_to_file(
        self,
        audio_descriptor: str | os.PathLike[str],
        destination: str | os.PathLike[str],
        audio_adapter: AudioAdapter | None = None,
        offset: float = 0.0,
        duration: float | None = None,
        codec: Codec | str = Codec.WAV,
        bitrate: str = "128k",
        filename_format: str = "{filename}/{instrument}.{codec}",
        synchronous: bool = True,
    ) -> None:
        """Separate a file into files under ``destination``.

        Without ``duration`` the whole file is separated; the original stops after 600 s. With ``synchronous=False``
        the work goes on in the background, and `join` waits for it and raises what went wrong.
        """
        if audio_adapter is None or type(audio_adapter).load is LibraryAudioAdapter.load:
            options = _options(codec, bitrate, filename_format, self._sample_rate)
            task = self._executor.submit(
                self._separator.separate_file,
                audio_descriptor,
                destination,
                options,
                offset_seconds=offset,
                duration_seconds=duration,
            )
            self._tasks.append(task)
            if synchronous:
                self.join()
            return
        waveform, _ = audio_adapter.load(
            audio_descriptor, offset=offset, duration=duration, sample_rate=self._sample_rate
        )
        sources = self.separate(waveform, os.fspath(audio_descriptor))
        self.save_to_file(
            sources, audio_descriptor, destination, filename_format, codec, audio_adapter, bitrate, synchronous
        )

    def save_to_file(
        self,
        sources: dict[str, Signal],
        audio_descriptor: str | os.PathLike[str],
        destination: str | os.PathLike[str],
        filename_format: str = "{filename}/{instrument}.{codec}",
        codec: Codec | str = Codec.WAV,
        audio_adapter: AudioAdapter | None = None,
        bitrate: str = "128k",
        synchronous: bool = True,
    ) -> None:
        """Write stems (samples, channels) under ``destination``; two stems on one path are an error."""
        adapter = audio_adapter or AudioAdapter.default()
        options = _options(codec, bitrate, filename_format, self._sample_rate)
        paths = stem_paths(Path(audio_descriptor), Path(destination), list(sources), options)
        for name, path in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            arguments = (path, sources[name], self._sample_rate, options.codec, bitrate)
            self._tasks.append(self._executor.submit(adapter.save, *arguments))
        if synchronous:
            self.join()

    def join(self, timeout: float | None = 200) -> None:
        """Wait for work in the background, each piece at most ``timeout`` seconds; raises what went wrong in it."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.result(timeout)


def _options(codec: Codec | str, bitrate: str, filename_format: str, sample_rate: int) -> OutputOptions:
    name = codec.value if isinstance(codec, Codec) else codec
    return OutputOptions(
        codec=name,
        bitrate=bitrate,
        filename_format=filename_format,
        sample_rate=find_format(name).sample_rate(sample_rate),
        n_channels=2,
    )
