"""Blocks of float32 samples → an audio file, which appears under its name only once it is complete."""

from __future__ import annotations

import logging
import math
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from unweave.audio.encoders import Encoder, VorbisEncoder
from unweave.audio.formats import FORMATS, OutputFormat
from unweave.audio.pcm import encode_pcm
from unweave.audio.sink import Sink
from unweave.audio.sources import reason
from unweave.audio.tags import Tags
from unweave.audio.wav_encoder import WavEncoder
from unweave.errors import AudioWriteError
from unweave.files import PartFile
from unweave.files import remove_orphans as remove_orphans
from unweave.types import Waveform

log = logging.getLogger(__name__)

SAMPLES_AT_ONCE = 1 << 15  # small enough for the processor's cache


class AudioWriter:
    """Writes one file: `write` blocks of float32 (channels, samples), then `finish`, then `commit`.

    A file with several streams takes the channels of all of them, one after another. Its streams are always stereo,
    as DJ programs expect; if ``n_channels`` is 1, each is written to both sides.

    Until `commit`, the samples are in a hidden temporary file in the same folder (see `PartFile`). Leaving the context
    without `commit`, for whatever reason, removes that file. Integer and lossy formats are clamped to −1 … 1, with the
    number of clamped samples in ``n_clipped`` and the largest magnitude in ``peak``. Raises `AudioWriteError`, also for
    samples that are NaN or infinite.
    """

    def __init__(
        self,
        path: Path,
        format: OutputFormat,
        *,
        sample_rate: int,
        n_channels: int,
        bit_depth: str = "16",
        bitrate: int = 128_000,
        tags: Tags | None = None,
    ) -> None:
        self.path = path
        self.n_clipped = 0
        self.peak = 0.0
        self._is_float = format.encoder(bit_depth) == "pcm_f32le"
        self._is_doubled = format.layout is not None and n_channels == 1
        n_written = 2 if self._is_doubled else n_channels
        self._encoder: Encoder | None = None
        # FFmpeg and libsndfile crash if a file is closed, as after an interrupt, while a thread still encodes into it.
        self._busy = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part: PartFile | None = PartFile(path)
        except OSError as error:
            raise self._failure(error) from error
        self._sink = Sink(self._part.file)
        try:
            self._encoder = _open_encoder(
                self._sink, format, bit_depth, sample_rate, n_written, bitrate, tags or Tags()
            )
            self._sink.check()
        except (OSError, ValueError) as error:
            self.discard()
            raise self._failure(error) from error
        except BaseException:
            self.discard()
            raise

    @property
    def temporary(self) -> Path | None:
        """Where the samples are until `commit`; None afterwards."""
        return None if self._part is None else self._part.temporary

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, waveform: Waveform) -> None:
        """Append samples (channels, samples)."""
        for start in range(0, waveform.shape[1], SAMPLES_AT_ONCE):
            self._write(waveform[:, start : start + SAMPLES_AT_ONCE])

    def _write(self, waveform: Waveform) -> None:
        peak = max(float(waveform.max()), -float(waveform.min()))
        if not math.isfinite(peak):
            raise AudioWriteError(
                f"cannot write {self.path}: some of its samples are not finite numbers, so computing them went wrong"
            )
        self.peak = max(self.peak, peak)
        if peak > 1.0 and not self._is_float:
            self.n_clipped += int(np.count_nonzero(np.abs(waveform) > 1.0))
            waveform = np.clip(waveform, -1.0, 1.0)
        if self._is_doubled:
            waveform = np.repeat(waveform, 2, axis=0)
        self._use(lambda encoder, part: encoder.encode(waveform))

    def finish(self) -> None:
        """Encode what is left. After this the temporary file is complete and on the disk."""
        self._use(lambda encoder, part: encoder.finish())
        self._use(lambda encoder, part: part.sync())

    def _use(self, action: Callable[[Encoder, PartFile], None]) -> None:
        """Do something with the encoder and its file, which nobody closes meanwhile."""
        with self._busy:
            if self._encoder is None or self._part is None:
                raise AudioWriteError(f"cannot write {self.path}: it was given up")
            try:
                action(self._encoder, self._part)
                self._sink.check()
            except OSError as error:
                raise self._failure(error) from error

    def commit(self) -> None:
        """Give the finished file its name, replacing an older file."""
        assert self._part is not None
        try:
            self._part.commit()
        except OSError as error:
            raise self._failure(error) from error
        self._part = None

    def tell_of_clipping(self, remedy: str = "") -> None:
        """Log a warning if samples were clamped; ``remedy`` says what would keep them."""
        if self.n_clipped:
            log.warning(
                "%s: %d samples beyond full scale were clamped (peak %+.1f dB)%s",
                self.path,
                self.n_clipped,
                20 * np.log10(self.peak),
                f"; {remedy} would keep them" if remedy else "",
            )

    def discard(self) -> None:
        """Remove the temporary file if it was not committed, as soon as no thread encodes into it."""
        with self._busy:
            if self._part is None:
                return
            if self._encoder is not None:
                self._encoder.abandon()
            self._part.discard()
            self._part = None

    def _failure(self, error: BaseException) -> AudioWriteError:
        return AudioWriteError(f"cannot write {self.path}: {reason(error)}")


def _open_encoder(
    sink: Sink, format: OutputFormat, bit_depth: str, sample_rate: int, n_channels: int, bitrate: int, tags: Tags
) -> Encoder:
    if format.container == "wav":
        return WavEncoder(sink, bit_depth, sample_rate, n_channels, tags.texts)
    if format.encoders.get("") == "vorbis":
        return VorbisEncoder(sink, sample_rate, n_channels, bitrate, tags.texts)
    from unweave.audio.ffmpeg_encoder import FFmpegEncoder  # a tenth of a second to import, which WAV does without

    return FFmpegEncoder(sink, format, bit_depth, sample_rate, n_channels, bitrate, tags)


@contextmanager
def wav_file(path: Path, sample_rate: int) -> Iterator[Callable[[Waveform], None]]:
    """A function that appends stereo samples (2, n) to a WAV file, which appears once it is complete."""
    with AudioWriter(path, FORMATS["wav"], sample_rate=sample_rate, n_channels=2) as writer:
        yield writer.write
        writer.finish()
        writer.tell_of_clipping()
        writer.commit()


@contextmanager
def wav_pipe(stream: BinaryIO, sample_rate: int) -> Iterator[Callable[[Waveform], None]]:
    """A function that writes stereo samples (2, n) to ``stream`` immediately, after a header without a length.

    What is not a finite number is silence: whoever listens is not to be stopped by it, nor hurt.
    """
    header = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, 1, 2, sample_rate, 4 * sample_rate, 4, 16
    )
    stream.write(header + struct.pack("<4sI", b"data", 2**32 - 1))

    def write(waveform: Waveform) -> None:
        finite = np.nan_to_num(waveform, nan=0.0, posinf=0.0, neginf=0.0)
        stream.write(encode_pcm(np.clip(finite, -1, 1), "16"))
        stream.flush()

    yield write
