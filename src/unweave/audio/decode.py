"""Any audio file → blocks of float32 samples."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeAlias, cast

import av
import numpy as np

from unweave.audio.channels import to_mono, to_stereo
from unweave.audio.tags import Tags, find_cover_stream, kept_texts, read_cover
from unweave.errors import AudioReadError
from unweave.types import Waveform

log = logging.getLogger(__name__)

# A path, or a file object opened for reading bytes.
AudioSource: TypeAlias = str | os.PathLike[str] | IO[bytes]

BLOCK_SAMPLES = 1 << 16

# FFmpeg's readers that read one file and nothing else.
AUDIO_DEMUXERS = "wav,w64,aiff,caf,au,flac,mp3,ogg,aac,ac3,ape,tta,wv,asf,mov,matroska,amr"

# Before version 19 PyAV refused a file whose tags are no UTF-8, unless told otherwise.
LENIENT_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


class AudioReader:
    """An audio stream of a file (the first, or number ``stream``) as blocks of float32 (channels, samples).

    Mono stays one channel, stereo two, surround is downmixed to two. Encoder delay and padding are taken off by the
    decoders, so that lengths are those of the audio that was encoded. ``offset_seconds`` and ``duration_seconds`` cut
    out a part, to the sample. Use it as a context manager; it can be iterated once. ``only_audio`` refuses what is not
    one of the known kinds of audio file, for files from strangers: playlists, for one, make FFmpeg open other files.

    Raises `AudioReadError` for a source that is missing, holds no audio stream, or cannot be decoded at all. Damaged
    packets in between are skipped, and NaN or infinite samples silenced, each with one warning in the log.
    """

    def __init__(
        self,
        source: AudioSource,
        *,
        offset_seconds: float = 0.0,
        duration_seconds: float | None = None,
        stream: int | None = None,
        only_audio: bool = False,
    ) -> None:
        self.name = source_name(source)
        self._source = source
        self._start = 0 if isinstance(source, (str, os.PathLike)) else _position(source)
        self._seconds = (offset_seconds, duration_seconds)
        self._only_audio = only_audio
        self._options = {"format_whitelist": AUDIO_DEMUXERS} if only_audio else {}
        try:
            self._container = av.open(_openable(source), mode="r", options=self._options, **LENIENT_TAGS)
        except (OSError, av.FFmpegError, ValueError) as error:
            raise AudioReadError(f"cannot read {self.name}: {reason(error)}") from error
        n_streams = len(self._container.streams.audio)
        if n_streams <= (stream or 0):
            self._container.close()
            what = (
                "there is no audio in it"
                if n_streams == 0
                else f"it has {n_streams} audio streams, not {(stream or 0) + 1}"
            )
            raise AudioReadError(f"cannot read {self.name}: {what}")
        self._number = stream or 0
        self._stream = self._container.streams.audio[stream or 0]
        context = self._stream.codec_context
        try:
            self.sample_rate: int = int(context.sample_rate)
            n_channels = int(context.layout.nb_channels)
        except (ValueError, AttributeError):
            self.sample_rate, n_channels = 0, 0
        if self.sample_rate <= 0 or n_channels <= 0:
            self._container.close()
            raise AudioReadError(f"cannot read {self.name}: its audio has no sample rate or no channels")
        self.n_channels = min(n_channels, 2)
        self._first = round(offset_seconds * self.sample_rate)
        self._last = None if duration_seconds is None else self._first + round(duration_seconds * self.sample_rate)

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def again(self) -> Iterator[Waveform]:
        """The same blocks in a pass of their own, before this reader itself is iterated.

        A file object must be seekable for it, or `AudioReadError` is raised.
        """
        offset, duration = self._seconds
        position = None
        if not isinstance(self._source, (str, os.PathLike)):
            position = _position(self._source)
            try:
                self._source.seek(self._start)
            except (OSError, ValueError, AttributeError) as error:
                raise AudioReadError(f"cannot read {self.name} twice: it cannot seek") from error
        with AudioReader(
            self._source,
            offset_seconds=offset,
            duration_seconds=duration,
            stream=self._number,
            only_audio=self._only_audio,
        ) as reader:
            yield from reader
        if position is not None:
            self._source.seek(position)  # type: ignore[union-attr]

    @property
    def expected_seconds(self) -> float | None:
        """How long the audio seems to be before it was read; headers may lie. None where nothing is known."""
        whole = _header_seconds(self._container, self._stream)
        if whole is None:
            return None if self._last is None else (self._last - self._first) / self.sample_rate
        rest = max(0.0, whole - self._first / self.sample_rate)
        return rest if self._last is None else min(rest, (self._last - self._first) / self.sample_rate)

    @property
    def tags(self) -> Tags:
        """What the file says about its music; no picture where it lies in a file object, which is read only once."""
        texts = kept_texts({**self._container.metadata, **self._stream.metadata})
        if not isinstance(self._source, (str, os.PathLike)) or find_cover_stream(self._container) is None:
            return Tags(texts)
        try:
            # A picture is a packet among the others, so that reading it takes an opening of its own.
            with av.open(_openable(self._source), mode="r", options=self._options, **LENIENT_TAGS) as container:
                return Tags(texts, read_cover(container))
        except (OSError, av.FFmpegError, ValueError) as error:
            log.warning("%s: its picture cannot be read: %s", self.name, reason(error))
            return Tags(texts)

    def __iter__(self) -> Iterator[Waveform]:
        """Blocks of about `BLOCK_SAMPLES` samples, the part that was asked for."""
        position = 0
        pending: list[Waveform] = []
        n_pending = 0
        for waveform in self._waveforms():
            start, stop = max(0, self._first - position), waveform.shape[1]
            if self._last is not None:
                stop = min(stop, self._last - position)
            position += waveform.shape[1]
            if stop > start:
                pending.append(waveform[:, start:stop])
                n_pending += stop - start
            if n_pending >= BLOCK_SAMPLES:
                yield np.concatenate(pending, axis=1)
                pending, n_pending = [], 0
            if self._last is not None and position >= self._last:
                break
        if pending:
            yield np.concatenate(pending, axis=1)

    def _waveforms(self) -> Iterator[Waveform]:
        """Decoded frames, as float32 of one or two channels."""
        to_float = av.AudioResampler(format="flt")
        speakers: tuple[str, ...] | None = None
        damaged = non_finite = n_decoded = 0
        for frame, n_valid in self._frames():
            if frame is None:
                damaged += 1
                continue
            if frame.sample_rate != self.sample_rate:
                raise AudioReadError(
                    f"{self.name} changes its sample rate from {self.sample_rate} to {frame.sample_rate} Hz midway"
                )
            if speakers is None:
                speakers = tuple(channel.name for channel in frame.layout.channels)
            # Packed in between: PyAV 18 reads past the end of planar frames with eight channels.
            n_channels = frame.layout.nb_channels
            is_planar = frame.format.name == "fltp" and n_channels <= 2
            for converted in [frame] if is_planar else to_float.resample(frame):
                samples = cast(Waveform, converted.to_ndarray())
                waveform = (samples if is_planar else samples.reshape(-1, n_channels).T)[:, :n_valid]
                is_finite = np.isfinite(waveform)
                if not is_finite.all():
                    non_finite += int(np.count_nonzero(~is_finite))
                    waveform = np.where(is_finite, waveform, np.float32(0))
                n_decoded += waveform.shape[1]
                yield self._fold(waveform, speakers)
        if n_decoded == 0:
            raise AudioReadError(f"cannot read {self.name}: it holds no audio samples")
        if damaged:
            log.warning("%s: %d damaged packets were skipped", self.name, damaged)
        if non_finite:
            log.warning("%s: %d samples that are not numbers were silenced", self.name, non_finite)

    def _fold(self, waveform: Waveform, speakers: tuple[str, ...]) -> Waveform:
        if len(waveform) <= 2 and len(waveform) == self.n_channels:
            return waveform
        stereo = to_stereo(waveform, speakers if len(speakers) == len(waveform) else None)
        return stereo if self.n_channels == 2 else to_mono(stereo)

    def _frames(self) -> Iterator[tuple[av.AudioFrame | None, int | None]]:
        """Decoded frames and how many of their samples count (None: all); no frame stands for a damaged packet."""
        try:
            for packet in self._container.demux(self._stream):
                try:
                    for frame in packet.decode():
                        assert isinstance(frame, av.AudioFrame)
                        yield frame, self._valid_samples(packet)
                except av.error.EOFError:
                    return
                except av.FFmpegError as error:
                    log.debug("%s: %s", self.name, error)
                    yield None, None
        except av.FFmpegError as error:
            log.warning("%s: reading stopped early: %s", self.name, reason(error))

    def _valid_samples(self, packet: av.Packet[av.AudioStream]) -> int | None:
        """MP4 notes how much of a packet is audio; FFmpeg decodes the padding of the last one all the same."""
        if "mp4" not in self._container.format.name or not packet.duration or packet.time_base is None:
            return None
        return round(packet.duration * packet.time_base * self.sample_rate)


def source_name(source: AudioSource) -> str:
    """What to call a source in a message: its path, or the file object's name."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", "the given file object"))


def reason(error: BaseException) -> str:
    """An exception of FFmpeg or the system in a few words."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:] if text else type(error).__name__


def _position(source: IO[bytes]) -> int:
    try:
        return source.tell()
    except (OSError, ValueError, AttributeError):
        return 0


def _openable(source: AudioSource) -> str | IO[bytes]:
    if not isinstance(source, (str, os.PathLike)):
        return source
    path = Path(source)
    with path.open("rb"):  # a clear error of the system's for what is missing or forbidden, not FFmpeg's
        pass
    # Always as a file: a name like "http:x.mp3" or "concat:a|b" must not be taken for one of FFmpeg's protocols.
    return "file:" + os.path.abspath(path)


def _header_seconds(container: av.container.InputContainer, stream: av.AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else None
