"""What turns blocks of samples into the bytes of a file: FFmpeg, and libsndfile for Ogg Vorbis."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

from unweave.audio.atoms import append_to_user_data, text_box
from unweave.audio.formats import OutputFormat
from unweave.audio.sink import Sink
from unweave.audio.stem_files import stem_atom
from unweave.audio.tags import CoverStream, Tags, can_hold
from unweave.types import Waveform

# Sample formats for 16 and 24 bits.
LOSSLESS_SAMPLES = {"flac": ("s16", "s32"), "alac": ("s16p", "s32p")}


class Encoder(Protocol):
    """Takes blocks (channels, samples) in −1 … 1, the channels of all streams below each other."""

    def encode(self, waveform: Waveform) -> None:
        """Encode a block."""

    def finish(self) -> None:
        """Write what is left, so that the file is whole."""

    def abandon(self) -> None:
        """Give up, whatever becomes of the file."""


class FFmpegEncoder:
    """Everything that FFmpeg encodes."""

    def __init__(
        self,
        file: Sink,
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
            file, mode="w", format=format.container, options=container_options(format, sample_rate)
        )
        self._container.metadata.update(tags.texts)
        self._texts = tags.texts
        self._file, self._format, self._n_channels = file, format, n_channels
        titles = format.layout.titles if format.layout is not None else ("",)
        self._streams = [self._add_stream(title, bit_depth, bitrate) for title in titles]
        self._streams[0].disposition = Disposition.default
        self._cover = None
        if tags.cover is not None and can_hold(format.container, tags.cover):
            self._cover = CoverStream(self._container, tags.cover)
        self._n_written = 0
        if format.container == "asf":
            self._encode_silence()

    def _encode_silence(self) -> None:
        """A frame of silence: readers of WMA leave out two frames; the encoder is late by one and spoils the last."""
        context = self._streams[0].codec_context
        context.open(strict=False)
        self.encode(np.zeros((self._n_channels, context.frame_size), np.float32))

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
            array, sample_format = quantise(rows, self._bit_depth)
            frame = av.AudioFrame.from_ndarray(array, format=sample_format, layout=self._layout)
            frame.sample_rate = self._sample_rate
            frame.pts = self._n_written
            self._container.mux(stream.encode(frame))
        self._n_written += waveform.shape[1]
        if self._cover is not None:
            self._cover.write()
            self._cover = None

    def finish(self) -> None:
        if self._format.container == "asf":
            self._encode_silence()
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


class VorbisEncoder:
    """Ogg Vorbis through libsndfile: FFmpeg's wheels carry no libvorbis, and its own Vorbis encoder is a draft."""

    # Nominal kbit/s of stereo at 44.1 kHz for Vorbis' qualities 0 … 10.
    NOMINAL = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)

    def __init__(self, file: Sink, sample_rate: int, n_channels: int, bitrate: int) -> None:
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


def quantise(waveform: Waveform, bit_depth: str) -> tuple[npt.NDArray[Any], str]:
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


def container_options(format: OutputFormat, sample_rate: int) -> dict[str, str]:
    if format.container == "wav":
        return {"rf64": "auto"}  # files of more than 4 GB get the 64-bit header of EBU Tech 3306
    if format.container == "mp4":
        brand = {"brand": "M4A "} if format.extension == "m4a" else {}
        # An edit list counts in this scale: milliseconds would cut samples off.
        return {"movie_timescale": str(sample_rate), **brand}
    return {}
