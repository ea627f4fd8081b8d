"""Cover pictures: read out of files, and written into them."""

from __future__ import annotations

import io
import logging

import av
from av.stream import Disposition

log = logging.getLogger(__name__)

MOST_PIXELS = 40_000_000  # of a cover: 6300 × 6300, which takes a third of a gigabyte in memory at most
PIXEL_LIMIT = {"max_pixels": str(MOST_PIXELS)}  # as an option of FFmpeg's
PICTURE_CODECS = frozenset({"mjpeg", "png"})
# Containers whose writers take a picture, and an encoder of theirs.
PICTURE_CONTAINERS = {"mp3": "libmp3lame", "flac": "flac", "mp4": "aac"}


def find_cover_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The stream of a file that is its cover, if it has one that can be kept."""
    for stream in container.streams.video:
        codec = getattr(stream.codec_context, "name", None)  # no context where FFmpeg does not know the codec
        if stream.disposition & Disposition.attached_pic and codec in PICTURE_CODECS:
            return stream
    return None


def read_cover(container: av.container.InputContainer) -> bytes | None:
    """The cover's bytes; the container cannot be used for anything else then."""
    stream = find_cover_stream(container)
    packet = None if stream is None else next((packet for packet in container.demux(stream) if packet.size), None)
    return None if packet is None else bytes(packet)


class CoverStream:
    """A picture on its way into a container; must be made before anything is written to it."""

    def __init__(self, container: av.container.OutputContainer, cover: bytes) -> None:
        self._container = container
        self._source = av.open(io.BytesIO(cover), mode="r")
        (stream,) = self._source.streams.video
        self._stream = container.add_stream_from_template(stream)
        self._stream.disposition = Disposition.attached_pic

    def write(self) -> None:
        """Write the picture."""
        packet = next(packet for packet in self._source.demux(video=0) if packet.size)
        packet.stream = self._stream
        packet.pts = packet.dts = 0
        self._container.mux(packet)
        self._source.close()


def is_picture(cover: bytes) -> bool:
    """Whether ``cover`` is a JPEG or PNG file that can be decoded, of `MOST_PIXELS` at most."""
    try:
        with av.open(io.BytesIO(cover), mode="r", options=PIXEL_LIMIT) as source:
            (stream,) = source.streams.video
            if stream.codec_context.name not in PICTURE_CODECS:
                return False
            stream.codec_context.options = PIXEL_LIMIT
            frame = next(source.decode(video=0), None)
            return frame is not None and frame.width > 0 and frame.height > 0
    except (av.FFmpegError, ValueError, OSError, AttributeError):
        return False


def can_hold(container: str, cover: bytes) -> bool:
    """Whether a file of the kind ``container`` can be written with the picture ``cover``.

    Some damaged pictures are refused only when the file's header is written, too late to do without them: so a moment
    of silence is written first, into memory. A picture that is left out is noted in the log.
    """
    if container not in PICTURE_CONTAINERS:
        return False
    if is_picture(cover):
        try:
            _write_silence(container, cover)
            return True
        except (av.FFmpegError, ValueError, OSError, AttributeError, StopIteration) as error:
            log.debug("the cover cannot be written: %s", error)
    log.warning("the cover picture is damaged or far too large, and was left out")
    return False


def _write_silence(container: str, cover: bytes) -> None:
    with av.open(io.BytesIO(), mode="w", format=container) as out:
        audio = out.add_stream(PICTURE_CONTAINERS[container], rate=44100, layout="mono")
        assert isinstance(audio, av.AudioStream)
        picture = CoverStream(out, cover)
        frame = av.AudioFrame(format=audio.codec_context.format.name, layout="mono", samples=2048)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate = 44100
        out.mux(audio.encode(frame))
        picture.write()
        out.mux(audio.encode(None))
