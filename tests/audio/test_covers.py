"""A damaged cover never stops the stems: the picture is left out, the audio and the tags are kept."""

import struct
import zlib

import numpy as np
import pytest

from tests.audio.test_tags import picture, written
from unweave.audio.atoms import append_to_user_data
from unweave.audio.covers import MOST_PIXELS, can_hold, find_cover_stream
from unweave.audio.decode import AudioReader
from unweave.audio.ffmpeg import FFmpegDecoder
from unweave.audio.sources import Source
from unweave.audio.tags import Tags
from unweave.separation.output import OutputOptions

PNG, JPEG = picture("png"), picture("mjpeg")


def without_size(png):
    """A PNG whose header says 0 × 0."""
    return png[:16] + bytes(8) + png[24:]


def changed(raw, start, stop):
    return raw[:start] + bytes(byte ^ 0x5A for byte in raw[start:stop]) + raw[stop:]


DAMAGED = {
    "signature of a png": PNG[:8],
    "signature of a jpeg": JPEG[:3],
    "half a png": PNG[: len(PNG) // 2],
    "half a jpeg": JPEG[: len(JPEG) // 2],
    "beginning of a jpeg": JPEG[:30],
    "no size": without_size(PNG),
    "absurd size": PNG[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + PNG[24:],
    "noise inside a png": changed(PNG, 33, len(PNG)),
    "noise inside a jpeg": changed(JPEG, 4, len(JPEG)),
    "a web page": b"<!DOCTYPE html><html>not found</html>",
    "a gif": b"GIF89a\x01\x00\x01\x00\x80\x00\x00",
    "nothing": b"",
    "zeros": bytes(5000),
}


def with_id3_cover(path, cover, mime=b"image/jpeg"):
    """Put a cover in front of an MP3, whatever it is."""
    frame = b"\0" + mime + b"\0\x03\0" + cover
    raw = b"APIC" + struct.pack(">I", len(frame)) + b"\0\0" + frame
    size = bytes(len(raw) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + raw + path.read_bytes())


def with_flac_cover(path, cover, mime=b"image/png"):
    """Put a PICTURE block behind STREAMINFO."""
    raw = path.read_bytes()
    numbers = struct.pack(">IIIII", 0, 0, 0, 0, len(cover))
    block = struct.pack(">II", 3, len(mime)) + mime + struct.pack(">I", 0) + numbers + cover
    path.write_bytes(raw[:42] + b"\x06" + struct.pack(">I", len(block))[1:] + block + raw[42:])


def with_mp4_cover(path, cover, kind=13):
    """Put iTunes' covr atom into an MP4; kind 13 is JPEG, 14 PNG."""

    def atom(name, payload):
        return struct.pack(">I4s", 8 + len(payload), name) + payload

    data = atom(b"data", struct.pack(">II", kind, 0) + cover)
    handler = atom(b"hdlr", struct.pack(">II4s12xB", 0, 0, b"mdir", 0))
    with path.open("r+b") as file:
        append_to_user_data(file, b"meta", bytes(4) + handler + atom(b"ilst", atom(b"covr", data)))


PUT = {"mp3": with_id3_cover, "flac": with_flac_cover, "m4a": with_mp4_cover}


@pytest.fixture(params=PUT)
def put(request, tmp_path):
    """A song and a way to give it a cover."""

    def song(cover):
        path = written(tmp_path / f"song.{request.param}", Tags({} if request.param == "m4a" else {"title": "Song"}))
        PUT[request.param](path, cover)
        return path

    return song


def test_a_cover_that_is_whole_arrives(put):
    with AudioReader(put(JPEG)) as reader:
        assert reader.tags.cover == JPEG


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_song_with_a_damaged_cover_is_read(put, damage):
    with AudioReader(put(DAMAGED[damage])) as reader:
        reader.tags  # noqa: B018 - must not raise
        assert sum(block.shape[1] for block in reader) == 50_000


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("extension", ["mp3", "flac", "m4a"])
def test_a_damaged_cover_does_not_stop_the_writer(tmp_path, extension, damage):
    path = written(tmp_path / f"x.{extension}", Tags({"title": "Song"}, DAMAGED[damage]))
    with AudioReader(path) as reader:
        assert reader.tags.texts["title"] == "Song"
        assert sum(block.shape[1] for block in reader) == 50_000


@pytest.mark.parametrize("codec", ["mp3", "flac", "stem.mp4"])
@pytest.mark.parametrize("damage", ["half a png", "noise inside a jpeg"])
def test_stems_of_a_song_with_a_damaged_cover(put, toy, tmp_path, codec, damage):
    song = put(DAMAGED[damage])
    for path in toy.separate_file(song, tmp_path / "out", OutputOptions(codec)).values():
        with AudioReader(path) as reader:
            assert sum(block.shape[1] for block in reader) == 50_000


@pytest.mark.parametrize("damage", ["half a png", "no size"])
def test_a_remix_of_a_song_with_a_damaged_cover(put, toy, tmp_path, damage):
    from unweave.separation.mix import Mix

    toy.remix_file(put(DAMAGED[damage]), tmp_path / "mix.mp3", Mix(), OutputOptions("mp3"))
    with AudioReader(tmp_path / "mix.mp3") as reader:
        assert np.isfinite(next(iter(reader))).all()


@pytest.mark.parametrize("container", ["mp3", "flac", "mp4"])
@pytest.mark.parametrize("cover", [PNG, JPEG], ids=["png", "jpeg"])
def test_a_whole_cover_can_be_held(container, cover):
    assert can_hold(container, cover)


def test_a_left_out_cover_is_noted(caplog):
    assert not can_hold("mp3", DAMAGED["no size"])
    assert "left out" in caplog.text


def black_png(width, height):
    """A picture of one bit per pixel, a thousandth of that in the file."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + -(-width // 8))), 1)
    return PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def size_seen(path):
    """Of the cover, by FFmpeg; it looks at no more than it must, and knows no size of what it has not decoded."""
    source = Source(path)
    decoder = FFmpegDecoder(source)
    context = find_cover_stream(decoder._container).codec_context
    decoder.close()
    source.close()
    return context.width, context.height


@pytest.mark.parametrize("extension", ["mp3", "flac"])
def test_a_cover_that_unpacks_to_gigabytes_is_never_unpacked(tmp_path, extension, caplog):
    path = written(tmp_path / f"song.{extension}", Tags({"title": "Song"}))
    small, huge = black_png(300, 200), black_png(8000, MOST_PIXELS // 8000 + 1)
    assert can_hold(extension, small)
    assert not caplog.text
    assert not can_hold(extension, huge)
    assert "too large" in caplog.text
    PUT[extension](path, huge, b"image/png")
    assert size_seen(path) == (0, 0)
    with AudioReader(path) as reader:
        assert sum(block.shape[1] for block in reader) == 50_000
