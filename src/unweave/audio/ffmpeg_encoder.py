"""Blocks of samples → the bytes of a file, by FFmpeg (PyAV): nearly every format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import av
import numpy as np
from av.stream import Disposition

from unweave.audio.atoms import append_to_user_data, text_box
from unweave.audio.covers import CoverStream, can_hold
from unweave.audio.encoders import quantise
from unweave.audio.formats import OutputFormat
from unweave.audio.sink import Sink
from unweave.audio.stem_files import stem_atom
from unweave.audio.tags import Tags
from unweave.types import Waveform

# Sample formats for 16 and 24 bits.
LOSSLESS_SAMPLES = {"flac": ("s16", "s32"), "alac": ("s16p", "s32p")}
# Bits per second and channel, of the encoder that refuses more; the others take as many as they can.
MOST_BITS = {"libopus": 256_000}


@contextmanager
def _failures_as_os_errors() -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error


class FFmpegEncoder:
    """Everything that FFmpeg encodes. Raises OSError and ValueError."""

    @_failures_as_os_errors()
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
            most = MOST_BITS.get(encoder)
            stream.codec_context.bit_rate = bitrate if most is None else min(bitrate, most * self._n_channels)
        if self._format.container == "opus":  # whose tags are those of its stream
            stream.metadata.update(self._texts)
        if title:
            stream.metadata.update(title=title, handler_name=title)  # not every reader looks in one place
        return stream

    @_failures_as_os_errors()
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

    @_failures_as_os_errors()
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


def container_options(format: OutputFormat, sample_rate: int) -> dict[str, str]:
    if format.container == "mp4":
        brand = {"brand": "M4A "} if format.extension == "m4a" else {}
        # An edit list counts in this scale: milliseconds would cut samples off.
        return {"movie_timescale": str(sample_rate), **brand}
    return {}
