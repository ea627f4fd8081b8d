"""What a file says about its music, so that stems can say it too: tags and the cover picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import av
from av.stream import Disposition

# What describes the music, by FFmpeg's names; what describes the file, such as its encoder or its length, is left out.
KEPT = frozenset(
    {"title", "artist", "album", "album_artist", "composer", "performer", "genre", "date", "year", "track", "disc"}
    | {"comment", "copyright", "publisher", "language", "lyrics", "grouping", "isrc", "bpm", "initialkey", "tbpm"}
)
PICTURE_CODECS = frozenset({"mjpeg", "png"})
# Containers whose writers take a picture.
PICTURE_CONTAINERS = frozenset({"mp3", "flac", "mp4"})


@dataclass(frozen=True)
class Tags:
    """Tags by FFmpeg's names, and the cover as the bytes of a JPEG or PNG file."""

    texts: Mapping[str, str] = field(default_factory=dict)
    cover: bytes | None = None


def kept_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """Of all tags of a file those that describe the music."""
    return {key.lower(): value for key, value in texts.items() if key.lower() in KEPT and value.strip()}


def find_cover_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The stream of a file that is its cover, if it has one that can be kept."""
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic and stream.codec_context.name in PICTURE_CODECS:
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
    """Whether ``cover`` is a JPEG or PNG file that can be opened."""
    with suppress(av.FFmpegError, ValueError, OSError), av.open(io.BytesIO(cover)) as source:
        streams = source.streams.video
        return len(streams) == 1 and streams[0].codec_context.name in PICTURE_CODECS
    return False
