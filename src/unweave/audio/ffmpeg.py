"""Audio decoded by FFmpeg (PyAV): nearly every file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, cast

import av
import numpy as np
from av.codec.context import Flags2

from unweave.audio.covers import PIXEL_LIMIT, find_cover_stream, read_cover
from unweave.audio.decoder import Piece
from unweave.audio.links import WHOLE, Link
from unweave.audio.recognise import unreadable
from unweave.audio.sources import Source, reason
from unweave.audio.tags import Tags, kept_texts
from unweave.audio.tracks import choose_track, is_usable
from unweave.errors import AudioReadError
from unweave.types import Waveform

log = logging.getLogger(__name__)

# FFmpeg's readers that read one file and nothing else.
AUDIO_DEMUXERS = "wav,w64,aiff,caf,au,flac,mp3,ogg,aac,ac3,ape,tta,wv,asf,mov,matroska,amr"

# Before version 19 PyAV refused a file whose tags are no UTF-8, unless told otherwise.
LENIENT_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}

# FFmpeg would listen to the network for a description of streams (SDP) in a file object. And it decodes a cover as soon
# as a file is opened: a megabyte of PNG can become gigabytes.
LIMITS = {"protocol_whitelist": "file,crypto,data", **PIXEL_LIMIT}

HEADLESS = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "mpeg", "mpegts", "loas"})
# Whose header states how long a track is, always or where it is PCM; FFmpeg may have estimated that of the others.
STATES_LENGTH = frozenset({"flac", "tta", "wv", "ape", "asf", "mov,mp4,m4a,3gp,3g2,mj2"})
STATES_LENGTH_OF_PCM = frozenset({"wav", "w64", "aiff", "caf", "au"})
STATES_LENGTH_OF_ALL = frozenset({"matroska,webm"})  # of all tracks together
LOSSLESS_CODECS = frozenset({"alac", "flac", "mlp", "truehd", "tta", "wavpack"})  # which never pad their last packet

# Other tracks of one programme end at about the same time.
BYTES_BEHIND = 1 << 16

# A header that makes samples this much narrower than they are is wrong about them.
CONTRADICTION = 1.2


class FFmpegDecoder:
    """A track of a file: number ``stream`` (None: the default one; see `choose_track`) of the bytes of ``link``.

    ``only_audio`` refuses what is not one of the known kinds of audio file. Raises `AudioReadError`.
    """

    def __init__(
        self, source: Source, *, stream: int | None = None, only_audio: bool = False, link: Link = WHOLE
    ) -> None:
        self._source, self._link = source, link
        self.stopped_early = False
        self._n_bytes_behind = 0  # of other audio tracks in a transport stream, after the last packet of this one
        self._begins_midway = False  # whether the file has a stream that was not there when it was opened
        self._options = LIMITS | ({"format_whitelist": AUDIO_DEMUXERS} if only_audio else {})
        self._target = source.for_ffmpeg(link.start, link.stop)
        try:
            self._container = self._open(self._target)
        except (OSError, av.FFmpegError, ValueError) as error:
            _close(self._target)
            raise unreadable(source, reason(error)) from error
        try:
            if not self._container.streams.audio:
                raise unreadable(source, "there is no audio in it")
            if not any(is_usable(track) for track in self._container.streams.audio):
                raise unreadable(source, "its audio has no sample rate or no channels")
            self._n_tracks = len(self._container.streams.audio)
            self.track = choose_track(self._container, stream, source.name)
        except BaseException:
            self.close()
            raise
        self._stream = self._container.streams.audio[self.track]
        context = self._stream.codec_context
        self.sample_rate = int(context.sample_rate)
        self.n_channels = int(context.layout.nb_channels)
        self.stores_samples = context.name.startswith("pcm_")
        self.is_headless = self._container.format.name in HEADLESS
        self._is_lossless = self.stores_samples or context.name in LOSSLESS_CODECS
        self.is_alac_in_caf = self._container.format.name == "caf" and context.name == "alac"
        if self._is_lossless and self._container.format.name == "caf":
            # The header counts what the last packet lacks; FFmpeg 8 takes as much off a packet that is short already.
            context.flags2 |= Flags2.skip_manual

    def _open(self, target: Any) -> av.container.InputContainer:
        container: av.container.InputContainer = av.open(target, mode="r", options=self._options, **LENIENT_TAGS)
        return container

    @property
    def seconds(self) -> float | None:
        """How long the header says the track is; None where it does not."""
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return self._container.duration / av.time_base if self._container.duration is not None else None

    @property
    def stated_seconds(self) -> float | None:
        """See `Decoder.stated_seconds`."""
        name, duration, unit = self._container.format.name, self._stream.duration, self._stream.time_base
        if name in STATES_LENGTH_OF_ALL and len(self._container.streams) == 1:
            whole = self._container.duration
            return None if whole is None else whole / av.time_base
        is_stated = name in STATES_LENGTH or (name in STATES_LENGTH_OF_PCM and self.stores_samples)
        return float(duration * unit) if is_stated and duration is not None and unit is not None else None

    @property
    def tags(self) -> Tags:
        """What the file says about its music; no picture where it lies in a file object, which is read only once."""
        texts = kept_texts({**self._container.metadata, **self._stream.metadata})
        if not self._source.is_path or find_cover_stream(self._container) is None:
            return Tags(texts)
        # A picture is a packet among the others, so that reading it takes an opening of its own.
        target = self._source.for_ffmpeg(self._link.start, self._link.stop)
        try:
            with self._open(target) as container:
                return Tags(texts, read_cover(container))
        except (OSError, av.FFmpegError, ValueError) as error:
            log.warning("%s: its picture cannot be read: %s", self._source.name, reason(error))
            return Tags(texts)
        finally:
            _close(target)

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        _close(self._target)

    def pieces(self) -> Iterator[Piece | None]:
        """Decoded frames; None stands for a damaged packet."""
        converters: dict[tuple[str, str, int], av.AudioResampler] = {}
        for frame, n_valid in self._frames():
            try:
                yield None if frame is None else _piece(frame, n_valid, converters)
            except (av.FFmpegError, ValueError) as error:  # a frame whose header makes no sense
                log.debug("%s: %s", self._source.name, error)
                yield None

    def _frames(self) -> Iterator[tuple[av.AudioFrame | None, int | None]]:
        """Decoded frames, and how many samples of each are audio (None: all)."""
        is_padded = "mp4" in self._container.format.name and not self._is_lossless
        padding = _Padding() if is_padded else None
        waiting: av.AudioFrame | None = None  # the last frame may have to be cut, so each waits for the next
        for packet, frames in self._packets():
            if frames is None:
                yield None, None
                continue
            if padding is not None:
                padding.look_at(packet, frames)
            if self.stores_samples:
                self._check_width(packet, frames)
            for frame in frames:
                if waiting is not None:
                    yield waiting, None
                waiting = frame
        if waiting is not None:
            yield waiting, None if padding is None else padding.valid_samples(waiting)

    def _packets(self) -> Iterator[tuple[av.Packet[av.AudioStream], list[av.AudioFrame] | None]]:
        """Packets and what is decoded from them; None for damaged ones."""
        try:
            for packet in self._demuxed():
                try:
                    frames = packet.decode()
                    for frame in frames if self.is_headless else ():
                        # FFmpeg's MPEG audio decoder labels a frame with the rate of the one before.
                        frame.sample_rate = self._stream.codec_context.sample_rate or frame.sample_rate
                    yield packet, frames
                except av.error.EOFError:
                    break
                except av.FFmpegError as error:
                    log.debug("%s: %s", self._source.name, error)
                    yield packet, None
        except av.error.PatchWelcomeError as error:
            raise AudioReadError(
                f"cannot read {self._source.name}: its audio format changes midway in a way that is not supported"
            ) from error
        except av.FFmpegError as error:
            self.stopped_early = True
            log.warning("%s: reading stopped early: %s", self._source.name, reason(error))
        except OSError as error:  # of a file object, such as one on a share that is gone
            raise AudioReadError(f"cannot read {self._source.name}: {reason(error)}") from error
        tracks = self._container.streams.audio
        if self._n_bytes_behind > BYTES_BEHIND:
            log.warning("%s: its sound goes on in another track, which was not read", self._source.name)
        elif self._begins_midway or any(is_usable(track) for track in tracks[self._n_tracks :]):
            log.warning("%s: another track starts midway; it was not read", self._source.name)

    def _demuxed(self) -> Iterator[av.Packet[av.AudioStream]]:
        """The track's packets; those of streams that begin midway, which PyAV does not know, are passed over."""
        tracks = self._container.streams.audio if self._container.format.name == "mpegts" else [self._stream]
        is_at_end = False
        while not is_at_end:
            try:
                for packet in self._container.demux(*tracks):
                    if packet.stream.index == self._stream.index:
                        self._n_bytes_behind = 0 if packet.size else self._n_bytes_behind
                        yield cast("av.Packet[av.AudioStream]", packet)
                    else:
                        self._n_bytes_behind += packet.size
                is_at_end = True
            except IndexError as error:  # the packet was taken from the file: the next call goes on behind it
                self._begins_midway = True
                log.debug("%s: a stream begins midway: %s", self._source.name, error)

    def _check_width(self, packet: av.Packet[av.AudioStream], frames: list[av.AudioFrame]) -> None:
        """Core Audio and QuickTime files may keep 24 bits in 32, as WAV files do; FFmpeg makes noise of them."""
        if self._container.format.name not in ("caf", "mov,mp4,m4a,3gp,3g2,mj2") or not packet.duration:
            return
        stated = float(packet.duration * packet.time_base) * self.sample_rate
        if sum(frame.samples for frame in frames) > CONTRADICTION * stated + 1:
            raise AudioReadError(
                f"cannot read {self._source.name}: its header contradicts itself about the width of its samples"
            )


def _close(target: Any) -> None:
    """Close what `Source.for_ffmpeg` gave; a name needs no closing."""
    if not isinstance(target, str):
        target.close()


class _Padding:
    """Finds out how much of an MP4's last packet is audio.

    Encoders fill the last packet up. MP4 states how long each packet lasts, so the last one is cut to that. But what
    was remuxed from Matroska, FLV or MPEG-TS states durations that were rounded to another clock: if any packet's
    differs from its number of samples, none can be trusted, and nothing is cut.
    """

    def __init__(self) -> None:
        self._counts_samples = True
        self._last: av.Packet[av.AudioStream] | None = None
        self._n_last = 0
        self._is_first = True

    def look_at(self, packet: av.Packet[av.AudioStream], frames: list[av.AudioFrame]) -> None:
        """Take note of a packet and of what it was decoded to."""
        if not frames:
            return  # a packet before the start of the edit list
        if self._last is not None:
            # The first one may begin with the encoder's delay, which was taken off already.
            is_exact = _duration(self._last, frames[0].sample_rate) == self._n_last
            self._counts_samples &= is_exact or self._is_first
            self._is_first = False
        self._last, self._n_last = packet, sum(frame.samples for frame in frames)

    def valid_samples(self, frame: av.AudioFrame) -> int | None:
        """How many samples of the last frame are audio; None: all."""
        packet = self._last
        if packet is None or not self._counts_samples or not packet.duration or packet.pts is None:
            return None
        if frame.pts is None or frame.time_base is None or packet.time_base is None:
            return None
        end = (packet.pts + packet.duration) * packet.time_base
        n_valid = round((end - frame.pts * frame.time_base) * frame.sample_rate)
        return n_valid if 0 < n_valid < frame.samples else None


def _duration(packet: av.Packet[av.AudioStream], sample_rate: int) -> int | None:
    if packet.duration is None or packet.time_base is None:
        return None
    return round(packet.duration * packet.time_base * sample_rate)


def _piece(
    frame: av.AudioFrame, n_valid: int | None, converters: dict[tuple[str, str, int], av.AudioResampler]
) -> Piece:
    """A frame as float32, with a converter for each kind of frame that the stream changes to."""
    n_channels = frame.layout.nb_channels
    if n_channels <= 0 or frame.sample_rate <= 0:
        raise ValueError(f"{n_channels} channels at {frame.sample_rate} Hz")
    # Packed in between: PyAV 18 reads past the end of planar frames with eight channels.
    if frame.format.name == "fltp" and n_channels <= 2:
        waveform = cast(Waveform, frame.to_ndarray())
    else:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        converter = converters.setdefault(kind, av.AudioResampler(format="flt"))
        parts = [part.to_ndarray().reshape(-1, n_channels).T for part in converter.resample(frame)]
        waveform = cast(Waveform, np.concatenate(parts, axis=1) if len(parts) != 1 else parts[0])
    speakers = tuple(channel.name for channel in frame.layout.channels)
    return Piece(waveform[:, :n_valid], frame.sample_rate, speakers if len(speakers) == n_channels else None)
