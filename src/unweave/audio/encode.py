"""Blocks of float32 samples → an audio file, which appears under its name only when it is whole."""

from __future__ import annotations

import logging
import os
import platform
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from unweave.audio.atoms import append_to_user_data, text_box
from unweave.audio.sources import reason
from unweave.audio.formats import FORMATS, OutputFormat
from unweave.audio.stem_files import stem_atom
from unweave.audio.tags import PICTURE_CONTAINERS, CoverStream, Tags, is_picture
from unweave.errors import AudioWriteError
from unweave.types import Waveform

log = logging.getLogger(__name__)

# Sample formats for 16 and 24 bits.
LOSSLESS_SAMPLES = {"flac": ("s16", "s32"), "alac": ("s16p", "s32p")}

SAMPLES_AT_ONCE = 1 << 15  # small enough for the processor's cache
TEMPORARY_PREFIX = ".unweave-"  # then the host, the process, and random letters
TEMPORARY_SUFFIX = ".part"


def remove_orphans(folders: Iterable[Path]) -> None:
    """Remove what processes of this machine that were killed have left in ``folders``."""
    pattern = f"{_own_prefix()}*{TEMPORARY_SUFFIX}"
    for path in (path for folder in folders for path in folder.glob(pattern)):
        process = path.name.removeprefix(_own_prefix()).partition("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            path.unlink(missing_ok=True)


def _own_prefix() -> str:
    host = "".join(c for c in platform.node() if c.isalnum())
    return f"{TEMPORARY_PREFIX}{host}-"


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, and is not ours
        return True
    return True


class AudioWriter:
    """Writes one file: `write` blocks of float32 (channels, samples), then `finish`, then `commit`.

    A file of several streams takes the channels of all of them below each other.

    Until `commit` the samples lie in a hidden temporary file in the same folder; leaving the context without it, for
    whatever reason, removes that file. Integer and lossy formats are clamped to −1 … 1, with the number of clamped
    samples in ``n_clipped`` and the largest magnitude in ``peak``; ``temporary`` is where the samples lie meanwhile.
    Raises `AudioWriteError`.
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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(TEMPORARY_SUFFIX, f"{_own_prefix()}{os.getpid()}-", path.parent)
        except OSError as error:
            raise self._failure(error) from error
        self.temporary: Path | None = Path(name)
        self._sink = _Sink(FileIO(handle, "r+b"))
        try:
            if format.encoders.get("") == "vorbis":
                self._encoder: _Encoder = _VorbisEncoder(self._sink, sample_rate, n_channels, bitrate)
            else:
                self._encoder = _AvEncoder(
                    self._sink, format, bit_depth, sample_rate, n_channels, bitrate, tags or Tags()
                )
        except (OSError, av.FFmpegError, ValueError) as error:
            self.discard()
            raise self._failure(error) from error

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
        self.peak = max(self.peak, peak)
        if peak > 1.0 and not self._is_float:
            self.n_clipped += int(np.count_nonzero(np.abs(waveform) > 1.0))
            waveform = np.clip(waveform, -1.0, 1.0)
        try:
            self._encoder.encode(waveform)
            self._sink.check()
        except (OSError, av.FFmpegError) as error:
            raise self._failure(error) from error

    def finish(self) -> None:
        """Encode what is left and close the temporary file, its bytes on the disk."""
        try:
            self._encoder.finish()
            self._sink.check()
            self._sink.sync()
            self._sink.close()
        except (OSError, av.FFmpegError) as error:
            raise self._failure(error) from error

    def commit(self) -> None:
        """Give the finished file its name, over an older one."""
        assert self.temporary is not None
        try:
            os.chmod(self.temporary, 0o666 & ~_umask())
            os.replace(self.temporary, self.path)
        except OSError as error:
            raise self._failure(error) from error
        self.temporary = None

    def discard(self) -> None:
        """Remove the temporary file, if it was not committed."""
        if self.temporary is None:
            return
        if hasattr(self, "_encoder"):
            self._encoder.abandon()
        with suppress(OSError):
            self._sink.close()
        self.temporary.unlink(missing_ok=True)
        self.temporary = None

    def _failure(self, error: BaseException) -> AudioWriteError:
        return AudioWriteError(f"cannot write {self.path}: {reason(error)}")


@contextmanager
def wav_file(path: Path, sample_rate: int) -> Iterator[Callable[[Waveform], None]]:
    """A function that appends stereo samples (2, n) to a WAV file, which appears at the end."""
    with AudioWriter(path, FORMATS["wav"], sample_rate=sample_rate, n_channels=2) as writer:
        yield writer.write
        writer.finish()
        writer.commit()


@contextmanager
def wav_pipe(stream: BinaryIO, sample_rate: int) -> Iterator[Callable[[Waveform], None]]:
    """A function that writes stereo samples (2, n) to ``stream`` at once, after a header without a length."""
    header = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, 1, 2, sample_rate, 4 * sample_rate, 4, 16
    )
    stream.write(header + struct.pack("<4sI", b"data", 2**32 - 1))

    def write(waveform: Waveform) -> None:
        stream.write(_quantise(np.clip(waveform, -1, 1), "16")[0].tobytes())
        stream.flush()

    yield write


class _Sink:
    """The temporary file as encoders see it: the first failure is kept for `check`, and what follows is dropped.

    Encoders call it from C, where a Python exception cannot pass and would be printed instead: an interrupt that comes
    just then is kept as well.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._failure: BaseException | None = None
        self.seek = file.seek
        self.tell = file.tell
        self.read = file.read
        self.readinto = file.readinto

    def write(self, raw: bytes) -> int:
        if self._failure is None:
            try:
                written = 0
                while written < len(raw):  # an unbuffered file may take a part
                    written += self._file.write(raw[written:])
            except BaseException as error:
                self._failure = error
        return len(raw)

    def flush(self) -> None:
        pass  # the file is unbuffered: the encoders collect bytes themselves

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class _Encoder(Protocol):
    def encode(self, waveform: Waveform) -> None: ...
    def finish(self) -> None: ...
    def abandon(self) -> None: ...


class _AvEncoder:
    """Everything that FFmpeg encodes."""

    def __init__(
        self,
        file: _Sink,
        format: OutputFormat,
        bit_depth: str,
        sample_rate: int,
        n_channels: int,
        bitrate: int,
        tags: Tags,
    ) -> None:
        self._layout = "mono" if n_channels == 1 else "stereo"
        self._sample_rate = sample_rate
        self._bit_depth = "lossy" if format.is_lossy else bit_depth
        self._container = av.open(
            file, mode="w", format=format.container, options=_container_options(format, sample_rate)
        )
        self._container.metadata.update(tags.texts)
        self._texts = tags.texts
        self._file, self._format, self._n_channels = file, format, n_channels
        titles = format.layout.titles if format.layout is not None else ("",)
        self._streams = [self._add_stream(title, bit_depth, bitrate) for title in titles]
        self._streams[0].disposition = Disposition.default
        self._cover = None
        if tags.cover is not None and format.container in PICTURE_CONTAINERS and is_picture(tags.cover):
            self._cover = CoverStream(self._container, tags.cover)
        self._n_written = 0

    def _add_stream(self, title: str, bit_depth: str, bitrate: int) -> av.AudioStream:
        encoder = self._format.encoder(bit_depth)
        stream = self._container.add_stream(encoder, rate=self._sample_rate)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout = self._layout
        if encoder in LOSSLESS_SAMPLES:
            stream.codec_context.format = av.AudioFormat(LOSSLESS_SAMPLES[encoder][bit_depth == "24"])
        if self._format.has_bitrate:
            stream.codec_context.bit_rate = bitrate
        if self._format.container == "opus":  # whose tags are those of its stream
            stream.metadata.update(self._texts)
        if title:
            stream.metadata.update(title=title, handler_name=title)  # not every reader looks in one place
        return stream

    def encode(self, waveform: Waveform) -> None:
        for number, stream in enumerate(self._streams):
            rows = waveform[number * self._n_channels : (number + 1) * self._n_channels]
            array, sample_format = _quantise(rows, self._bit_depth)
            frame = av.AudioFrame.from_ndarray(array, format=sample_format, layout=self._layout)
            frame.sample_rate = self._sample_rate
            frame.pts = self._n_written
            self._container.mux(stream.encode(frame))
        self._n_written += waveform.shape[1]
        if self._cover is not None:
            self._cover.write()
            self._cover = None

    def finish(self) -> None:
        for stream in self._streams:
            self._container.mux(stream.encode(None))
        self._container.close()
        layout = self._format.layout
        if layout is not None and layout.has_stem_atom:
            append_to_user_data(self._file, b"stem", stem_atom())
        elif layout is not None:
            for track, title in enumerate(layout.titles):
                append_to_user_data(self._file, b"\xa9nam", text_box(title), track)

    def abandon(self) -> None:
        with suppress(OSError, av.FFmpegError, ValueError):
            self._container.close()


class _VorbisEncoder:
    """Ogg Vorbis through libsndfile: FFmpeg's wheels carry no libvorbis, and its own Vorbis encoder is a draft."""

    # Nominal kbit/s of stereo at 44.1 kHz for Vorbis' qualities 0 … 10.
    NOMINAL = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)

    def __init__(self, file: _Sink, sample_rate: int, n_channels: int, bitrate: int) -> None:
        import soundfile

        quality = float(np.interp(bitrate / 1000 * 2 / n_channels, self.NOMINAL, np.arange(11)))
        self._file = soundfile.SoundFile(
            file, "w", sample_rate, n_channels, "VORBIS", format="OGG", compression_level=1 - quality / 10
        )

    def encode(self, waveform: Waveform) -> None:
        # In small pieces: libsndfile's Vorbis encoder keeps what it is given on its stack.
        for start in range(0, waveform.shape[1], 4096):
            self._write(np.ascontiguousarray(waveform[:, start : start + 4096].T))

    def _write(self, samples: npt.NDArray[np.float32]) -> None:
        import soundfile

        try:
            self._file.write(samples)
        except soundfile.LibsndfileError as error:
            raise OSError(str(error)) from error

    def finish(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        with suppress(Exception):
            self._file.close()


def _quantise(waveform: Waveform, bit_depth: str) -> tuple[npt.NDArray[Any], str]:
    """Samples in −1 … 1 as FFmpeg takes them: an array and the name of its sample format."""
    if bit_depth == "lossy":
        return np.ascontiguousarray(waveform), "fltp"
    packed = np.ascontiguousarray(waveform.T).reshape(1, -1)
    if bit_depth == "32f":
        return packed, "flt"
    if bit_depth == "16":
        return np.clip(np.rint(packed * np.float32(2**15)), -(2**15), 2**15 - 1).astype(np.int16), "s16"
    scaled = np.clip(np.rint(packed * np.float32(2**23)), -(2**23), 2**23 - 1).astype(np.int32)
    return scaled << 8, "s32"  # FFmpeg takes 24 bits in the upper part of 32


def _container_options(format: OutputFormat, sample_rate: int) -> dict[str, str]:
    if format.container == "wav":
        return {"rf64": "auto"}  # files of more than 4 GB get the 64-bit header of EBU Tech 3306
    if format.container == "mp4":
        brand = {"brand": "M4A "} if format.extension == "m4a" else {}
        # An edit list counts in this scale: milliseconds would cut samples off.
        return {"movie_timescale": str(sample_rate), **brand}
    return {}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
