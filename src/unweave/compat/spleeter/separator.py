"""Spleeter's ``spleeter.separator``."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDoneError  # the built-in one from Python 3.11 on
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from unweave.audio.formats import find_format
from unweave.compat.spleeter import SpleeterError, model_name
from unweave.compat.spleeter.audio import Codec
from unweave.compat.spleeter.audio.adapter import AudioAdapter, LibraryAudioAdapter
from unweave.compat.spleeter.audio.arguments import (
    Signal,
    codec_of_file,
    to_bitrate,
    to_duration,
    to_extension,
    to_offset,
    to_path,
    to_signal,
    to_template,
)
from unweave.compat.spleeter.utils.configuration import parameters_of
from unweave.dsp.stft import analyse, synthesise
from unweave.errors import DownloadError, OptionError
from unweave.forks import after_fork
from unweave.models.catalogue.official import specs
from unweave.models.hub import ensure_weights
from unweave.models.spec import MaskModelSpec, ModelSpec
from unweave.separation.output import OutputOptions, stem_paths
from unweave.separation.plan import Planner
from unweave.separation.remix import check_one_recording
from unweave.separation.separator import Separator as OurSeparator
from unweave.separation.separator import Wiener
from unweave.separation.workers import Workers

log = logging.getLogger(__name__)

# As they are here, whatever is put in their place later: see `_is_plain`.
PLAIN_METHODS = {"load": LibraryAudioAdapter.load, "save": LibraryAudioAdapter.save}


class JoinTimeoutError(SpleeterError, TimeoutError):
    """`Separator.join` gave up waiting; the work goes on, and can be waited for again."""


class Separator:
    """The original's separator: samples first, 44.1 kHz, two channels.

    ``stft_backend`` and ``multiprocess`` are accepted and have no effect: there is one way to compute spectra, and no
    processes are started. The order is that of versions 1.5 to 2.3; in 2.4, which has no ``stft_backend``,
    ``multiprocess`` stands in its place.
    """

    def __init__(
        self,
        params_descriptor: str = "spleeter:2stems",
        MWF: bool = False,
        stft_backend: object = "auto",
        multiprocess: object = True,
    ) -> None:
        self._name = model_name(os.fspath(params_descriptor))
        self._wiener: Wiener | None = "track" if MWF else None
        self._loaded: OurSeparator | None = None
        self._turn = threading.Lock()
        after_fork(self._renew)
        spec = _official(self._name)
        self._stems = self._separator.stems if spec is None else spec.stems
        spec = spec or self._separator.spec
        self._sample_rate = spec.sample_rate
        # Not of the original's public names either, but scripts read the stems and the lengths of frames here.
        self._params = {**parameters_of(spec), "instrument_list": list(self._stems), "MWF": bool(MWF)}
        self._workers = Workers(1, "unweave-spleeter")
        # Work in the background, in order, until `join` has seen its end: a dictionary, for the keys of one can be
        # added and removed from several threads.
        self._tasks: dict[Future[Any], None] = {}
        self._process = os.getpid()
        weakref.finalize(self, _tell_of_failures, self._tasks)

    @property
    def _separator(self) -> OurSeparator:
        """Official models are loaded when they are needed, as by the original: scripts make one of each and use few."""
        with self._turn:  # several threads may ask at once
            if self._loaded is None:
                self._loaded = OurSeparator(self._name, quality="exact", wiener=self._wiener)
            return self._loaded

    def _renew(self) -> None:
        """A lock that another thread held at a fork stays locked in the child."""
        self._turn = threading.Lock()

    def load(self) -> None:
        """Load the model now. Not one of the original's methods: its command needs it. Raises `SpleeterError`."""
        _ = self._separator

    def separate(self, waveform: Signal, audio_descriptor: str | None = "") -> dict[str, Signal]:
        """Stems (samples, 2) of a waveform (samples, channels) of floats at the model's rate; mono is duplicated.

        Raises `SpleeterError` for arrays of other shapes and types.
        """
        mixture = np.ascontiguousarray(to_signal(waveform).T)
        if len(mixture) == 1:
            mixture = np.repeat(mixture, 2, axis=0)
        stems = self._separator.separate(mixture, self._sample_rate)
        return {name: np.ascontiguousarray(stem.T) for name, stem in stems.items()}

    def separate_to_file(
        self,
        audio_descriptor: str | os.PathLike[str],
        destination: str | os.PathLike[str],
        audio_adapter: AudioAdapter | None = None,
        offset: float | None = 0.0,
        duration: float | None = None,
        codec: Codec | str = Codec.WAV,
        bitrate: str = "128k",
        filename_format: str = "{filename}/{instrument}.{codec}",
        synchronous: bool = True,
    ) -> None:
        """Separate a file into files under ``destination``.

        Without ``duration`` the whole file is separated; the original stops after 600 s. With ``synchronous=False``
        the work goes on in the background, and `join` waits for it and raises what went wrong. An adapter that brings
        its own ``load`` or ``save`` does that part, and then the whole song is held in memory.
        """
        options = _options(codec, bitrate, filename_format, self._sample_rate)
        start, seconds = to_offset(offset), to_duration(duration)
        adapter, source = _adapter(audio_adapter), to_path(audio_descriptor, "audio_descriptor")
        folder = to_path(destination, "destination")
        if _is_plain(adapter, "load") and _is_plain(adapter, "save"):
            self._do(
                synchronous,
                self._separator.separate_file,
                source,
                folder,
                options,
                offset_seconds=start,
                duration_seconds=seconds,
            )
            return
        # Before the work: whatever is wrong with the paths.
        stem_paths(source, folder, self._stems, options)
        waveform, rate = adapter.load(audio_descriptor, offset=start, duration=seconds, sample_rate=self._sample_rate)
        if rate is not None and rate != self._sample_rate:
            raise SpleeterError(
                f"the audio adapter was asked for {audio_descriptor} at {self._sample_rate} Hz, but loaded it at {rate}"
            )
        sources = self.separate(waveform, os.fspath(audio_descriptor))
        self.save_to_file(sources, audio_descriptor, destination, filename_format, codec, adapter, bitrate, synchronous)

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
        """Write stems (samples, channels) of floats under ``destination``; two stems on one path are an error."""
        adapter = _adapter(audio_adapter)
        if not isinstance(sources, Mapping) or not all(isinstance(name, str) for name in sources):
            raise OptionError(f"expected signals by the names of their stems, got {type(sources).__name__}")
        options = _options(codec, bitrate, filename_format, self._sample_rate)
        source = to_path(audio_descriptor, "audio_descriptor")
        check_one_recording(to_path(destination, "destination"), options.format)
        paths = stem_paths(source, to_path(destination, "destination"), list(sources), options)
        signals = {name: to_signal(samples, f"signal of {name}") for name, samples in sources.items()}
        for path in paths.values():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SpleeterError(f"cannot write {path}: {error.strerror or error}") from error
        for name, path in paths.items():
            # As text, as in the original: adapters of one's own hand it to libraries that know nothing else.
            self._do(synchronous, adapter.save, str(path), signals[name], self._sample_rate, codec, options.bitrate)

    def join(self, timeout: float | None = None) -> None:
        """Wait until all work in the background is done, and raise the first error that came up in it.

        Waits as long as it takes, or ``timeout`` seconds in all: then it raises `JoinTimeoutError`, which is also a
        TimeoutError, the work goes on, and `join` may be called again. Further errors are logged.
        """
        if timeout is not None and not (isinstance(timeout, (int, float)) and timeout >= 0):
            raise SpleeterError(f"expected a timeout of 0 seconds or more, got {timeout!r}")
        deadline = None if timeout is None else time.monotonic() + timeout
        errors: list[BaseException] = []
        for task in self._own_tasks():
            try:
                error = task.exception(None if deadline is None else max(0.0, deadline - time.monotonic()))
            except NotDoneError:
                for known in errors:
                    log.error("%s", known)
                n_left = len(self._own_tasks())
                raise JoinTimeoutError(f"after {timeout:g} s, {n_left} separations are not done yet") from None
            self._tasks.pop(task, None)
            if error is not None:
                errors.append(error)
        for further in errors[1:]:
            log.error("%s", further)
        if errors:
            raise errors[0]

    def _stft(self, data: Any, inverse: bool = False, length: int | None = None) -> Any:
        """Spectra (frames, bins, channels) of samples (samples, channels), or from them ``length`` samples.

        Not a public name of the original's, and gone from its version 2.4; but trackers of beats take the spectra of
        the stems from here. A frame of zeros is put before and behind the samples.
        """
        if "frame_length" not in self._params:
            raise SpleeterError(f"{self._name} is none of Spleeter's models: it has no spectra")
        n_fft, hop = int(self._params["frame_length"]), int(self._params["frame_step"])
        if not inverse:
            samples = np.pad(to_signal(data).T, [(0, 0), (n_fft, n_fft)])
            return np.ascontiguousarray(analyse(samples, n_fft, hop).transpose(1, 2, 0))
        if length is None:
            raise OptionError("expected the number of samples as length, got None")
        samples = synthesise(np.asarray(data).transpose(2, 0, 1), n_fft, hop)[:, n_fft : n_fft + length]
        return np.ascontiguousarray(samples.T)

    def planner(
        self,
        sources: Iterable[Path],
        codec: Codec | str,
        bitrate: str,
        filename_format: str,
        offset: float | None,
        duration: float | None,
    ) -> Planner:
        """What gives the stems of each of ``sources`` their paths. Raises `OptionError` for options that make no sense.

        Not one of the original's methods: its command needs it.
        """
        to_offset(offset)
        to_duration(duration)
        options = _options(codec, bitrate, filename_format, self._sample_rate)
        return Planner(sources, self._stems, options)

    def _do(self, synchronous: bool, work: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Have ``work`` done: in the background, or here and now, after all that was begun before.

        What went wrong before is raised when this ``work`` is done, too.
        """
        if not synchronous:
            self._own_tasks()
            self._tasks[self._workers.submit(work, *arguments, **options)] = None
            return
        earlier: Exception | None = None
        try:
            self.join()
        except Exception as error:
            earlier = error
        work(*arguments, **options)
        if earlier is not None:
            raise earlier

    def _own_tasks(self) -> list[Future[Any]]:
        """The work that this process has begun: what was begun before a fork is the parent's."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._tasks.clear()
        return list(self._tasks)


def _official(name: str) -> ModelSpec | None:
    """The description of a model of Spleeter's, its weights fetched if they can be had; None for any other model."""
    spec = specs().get(name)
    if not isinstance(spec, MaskModelSpec) or not spec.is_classic:
        return None
    with suppress(DownloadError):  # raised again when the weights are needed
        ensure_weights(spec.weights)
    return spec


def _tell_of_failures(tasks: Iterable[Future[Any]]) -> None:
    """Log what went wrong in the background where nobody called `join` to hear of it.

    At the end of the program all that was not done yet has failed.
    """
    for task in list(tasks):
        task.add_done_callback(_tell_of_failure)


def _tell_of_failure(task: Future[Any]) -> None:
    error = task.exception()
    if error is not None:
        log.error("a separation in the background failed, or the program ended first; call join to wait: %s", error)


def _adapter(given: AudioAdapter | None) -> AudioAdapter:
    """``given``, or the default one. Raises `OptionError` for what cannot load and save."""
    adapter = AudioAdapter.default() if given is None else given
    if not all(callable(getattr(adapter, method, None)) for method in PLAIN_METHODS):
        raise OptionError(f"expected an audio adapter with the methods load and save, got {given!r}")
    return adapter


def _is_plain(adapter: AudioAdapter, method: str) -> bool:
    """Whether ``method`` of ``adapter`` is unweave's own, which reads and writes in blocks while it separates."""
    return getattr(getattr(adapter, method), "__func__", None) is PLAIN_METHODS[method]


def _options(codec: Codec | str, bitrate: str, filename_format: str, sample_rate: int) -> OutputOptions:
    asked, template = to_extension(codec), to_template(filename_format)
    name = codec_of_file(asked, template)
    return OutputOptions(
        codec=name,
        bitrate=to_bitrate(bitrate),
        filename_format=template if name == asked else template.replace("{codec}", asked),
        sample_rate=find_format(name).sample_rate(sample_rate),
        n_channels=2,
    )
