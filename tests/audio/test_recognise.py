"""What is audio in a folder, and what is said of a file that is none."""

import io
import struct

import av
import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.media import encoded
from tests.helpers.signals import tones
from unweave.audio.decode import AudioReader
from unweave.audio.formats import READABLE_EXTENSIONS
from unweave.audio.recognise import DOUBTFUL_EXTENSIONS, STARTS, is_audio_file
from unweave.errors import AudioReadError

SONG = tones(48_000, 48_000)

# extension → (container, encoder) that FFmpeg writes it with.
WRITTEN = {
    "wav": ("wav", "pcm_s16le"),
    "wave": ("wav", "pcm_s16le"),
    "bwf": ("wav", "pcm_s16le"),
    "w64": ("w64", "pcm_s16le"),
    "aif": ("aiff", "pcm_s16be"),
    "aiff": ("aiff", "pcm_s16be"),
    "aifc": ("aiff", "pcm_s16be"),
    "caf": ("caf", "pcm_s16le"),
    "au": ("au", "pcm_s16be"),
    "snd": ("au", "pcm_s16be"),
    "voc": ("voc", "pcm_u8"),
    "flac": ("flac", "flac"),
    "alac": ("ipod", "alac"),
    "wv": ("wv", "wavpack"),
    "tta": ("tta", "tta"),
    "mp3": ("mp3", "libmp3lame"),
    "mpga": ("mp3", "libmp3lame"),
    "mp2": ("mp2", "mp2"),
    "ogg": ("ogg", "flac"),
    "oga": ("oga", "flac"),
    "ogv": ("ogv", "flac"),
    "opus": ("opus", "libopus"),
    "m4a": ("ipod", "aac"),
    "m4b": ("ipod", "aac"),
    "m4r": ("ipod", "aac"),
    "aac": ("adts", "aac"),
    "ac3": ("ac3", "ac3"),
    "eac3": ("eac3", "eac3"),
    "ec3": ("eac3", "eac3"),
    "wma": ("asf", "wmav2"),
    "asf": ("asf", "wmav2"),
    "wmv": ("asf", "wmav2"),
    "mka": ("matroska", "aac"),
    "mkv": ("matroska", "aac"),
    "webm": ("webm", "libopus"),
    "weba": ("webm", "libopus"),
    "mp4": ("mp4", "aac"),
    "m4v": ("mp4", "aac"),
    "f4v": ("f4v", "aac"),
    "mov": ("mov", "aac"),
    "qt": ("mov", "aac"),
    "3gp": ("3gp", "aac"),
    "3g2": ("3g2", "aac"),
    "avi": ("avi", "libmp3lame"),
    "divx": ("avi", "libmp3lame"),
    "flv": ("flv", "aac"),
    "mpg": ("mpeg", "mp2"),
    "mpeg": ("mpeg", "mp2"),
    "vob": ("vob", "mp2"),
    "ts": ("mpegts", "aac"),
    "m2t": ("mpegts", "aac"),
    "mts": ("mpegts", "aac"),
    "m2ts": ("mpegts", "aac"),
    "rm": ("rm", "ac3"),
    "ra": ("rm", "ac3"),
}
# FFmpeg reads them, and writes none: extension → its readers.
ONLY_READ = {
    "ape": ("ape",),
    "mlp": ("mlp",),
    "thd": ("truehd",),
    "dts": ("dts",),
    "tak": ("tak",),
    "shn": ("shn",),
    "mpc": ("mpc", "mpc8"),
    "awb": ("amr",),
    "mp1": ("mp3",),
    "dtshd": ("dtshd",),
    "mxf": ("mxf",),
    "rf64": ("wav",),
}


def dsf(n_blocks=4):
    """A DSD stream file (Sony, "DSF File Format Specification"), silent."""
    data = bytes([0x69]) * (4096 * 2 * n_blocks)
    fmt = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 2, 2, 2822400, 1, 4096 * 8 * n_blocks, 4096, 0)
    body = fmt + struct.pack("<4sQ", b"data", 12 + len(data)) + data
    return struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(body), 0) + body


def dff(n_bytes=16_384):
    """A DSDIFF file (Philips, "DSDIFF 1.5"), silent."""

    def chunk(name, content):
        return name + struct.pack(">Q", len(content)) + content + bytes(len(content) % 2)

    properties = b"SND " + chunk(b"FS  ", struct.pack(">I", 2822400)) + chunk(b"CHNL", b"\0\2SLFTSRGT")
    properties += chunk(b"CMPR", b"DSD \x0enot compressed\0")
    return chunk(
        b"FRM8", b"DSD " + chunk(b"FVER", b"\1\5\0\0") + chunk(b"PROP", properties) + chunk(b"DSD ", b"\x69" * n_bytes)
    )


MADE = {"dsf": dsf, "dff": dff, "amr": lambda: b"#!AMR\n" + (b"\x3c" + bytes(31)) * 50, "spx": None}


def test_every_extension_is_tried_here():
    assert {*WRITTEN, *ONLY_READ, *MADE} == READABLE_EXTENSIONS


@pytest.mark.parametrize("extension", WRITTEN)
def test_a_file_of_every_extension_is_found_and_read(extension, tmp_path):
    container, codec = WRITTEN[extension]
    options = {"mpegts_m2ts_mode": "1"} if extension in ("mts", "m2ts") else None
    path = tmp_path / f"x.{extension}"
    path.write_bytes(encoded(SONG, container, codec, 48_000, options=options))
    assert is_audio_file(path)
    back = read(path)
    assert back.shape[1] == pytest.approx(48_000, abs=4000)
    assert np.abs(back).max() > 0.3


@pytest.mark.parametrize("extension", ONLY_READ)
def test_ffmpeg_has_a_reader_for_every_other_extension(extension):
    for name in ONLY_READ[extension]:
        assert av.ContainerFormat(name, "r").is_input


@pytest.mark.parametrize("extension", ["dsf", "dff", "amr"])
def test_files_that_only_others_write(extension, tmp_path):
    path = tmp_path / f"x.{extension}"
    path.write_bytes(MADE[extension]())
    assert is_audio_file(path)
    assert read(path).shape[1] > 4000


OTHERS = {
    "app.ts": b"import { x } from './y';\nexport const z = 1;\n",
    "module.mts": b"export default 1;\n",
    "board.dts": b'/dts-v1/;\n/ { compatible = "x"; };\n',
    "thing.mpc": b"\x00\x01\x02\x03" * 100,
    "x.amr": b"random",
    "x.au": b"text",
    "x.snd": b"text",
    "x.voc": b"text",
    "x.ra": b"text",
    "x.spx": b"text",
    "x.txt": b"text",
    "song.mp3.part": b"ID3",
    "mp3": b"ID3",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_not_taken_for_audio(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(OTHERS[name])
    assert not is_audio_file(path)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("x.dts", b"\x7f\xfe\x80\x01"),
        ("x.dts", b"RIFF"),
        ("x.mpc", b"MP+\x07"),
        ("x.mpc", b"MPCK"),
        ("x.amr", b"#!AMR-WB\n"),
        ("x.ts", (b"\x47" + bytes(187)) * 5),
        ("x.m2ts", (bytes(4) + b"\x47" + bytes(187)) * 5),
        ("x.ts", (b"\x47" + bytes(203)) * 5),
    ],
)
def test_beginnings_that_fit(name, head, tmp_path):
    (tmp_path / name).write_bytes(head + bytes(1000))
    assert is_audio_file(tmp_path / name)


def test_doubtful_files_that_cannot_be_opened(tmp_path):
    assert not is_audio_file(tmp_path / "missing.ts")
    (tmp_path / "folder.ts").mkdir()
    assert not is_audio_file(tmp_path / "folder.ts")
    (tmp_path / "empty.ts").touch()
    assert not is_audio_file(tmp_path / "empty.ts")


def test_doubtful_extensions_are_extensions():
    assert DOUBTFUL_EXTENSIONS <= READABLE_EXTENSIONS
    assert set(STARTS) <= DOUBTFUL_EXTENSIONS


def test_upper_case_counts(tmp_path):
    assert is_audio_file(write(tmp_path / "x.wav", tones(10)).rename(tmp_path / "X.WAV"))


MESSAGES = {
    "empty": (b"", "it is empty"),
    "zeros": (bytes(9000), "nothing but zeros"),
    "html": (b"\xef\xbb\xbf\r\n <!DOCTYPE html>\n<html>Not found</html>", "it is a web page"),
    "xml": (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "it is a web page"),
    "text": ("Grüße, this is not a song.\n".encode() * 400, "it is a text file"),
    "json": (b'{"error": "expired"}', "it is a text file"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS pointer"),
    "midi": (b"MThd\0\0\0\x06\0\1\0\1\0\x60MTrk", "MIDI file"),
    "zip": (b"PK\x03\x04" + bytes(range(200)), "zip archive"),
    "pdf": (b"%PDF-1.7\n\xff\xfe" + bytes(range(200)), "PDF"),
    "playlist": (b"#EXTM3U\nsong.mp3\n", "playlist"),
}


@pytest.mark.parametrize("what", MESSAGES)
@pytest.mark.parametrize(
    ("extension", "only_audio"), [("mp3", False), ("wav", True), ("m4a", False), ("ogg", True), ("bin", False)]
)
def test_what_a_file_is_instead(what, extension, only_audio, tmp_path):
    raw, message = MESSAGES[what]
    path = tmp_path / f"x.{extension}"
    path.write_bytes(raw)
    with pytest.raises(AudioReadError, match=message) as caught, AudioReader(path, only_audio=only_audio) as reader:
        list(reader)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("container", ["mp4", "mov", "ipod"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_recording_without_its_index(container, share):
    raw = encoded(SONG, container, "aac", 48_000)
    cut = raw[: int(share * raw.index(b"moov"))]
    with pytest.raises(AudioReadError, match=r"its index \(the moov atom\) is missing"):
        AudioReader(io.BytesIO(cut))


def test_a_picture_is_a_picture(tmp_path):
    from tests.audio.test_tags import picture

    path = tmp_path / "x.mp3"
    path.write_bytes(picture())
    with pytest.raises(AudioReadError, match="it is a picture"):
        AudioReader(path)


def test_a_folder(tmp_path):
    with pytest.raises(AudioReadError, match="is a directory"):
        AudioReader(tmp_path)


@pytest.mark.parametrize(
    "playlist",
    [b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nother.wav\n", b"ffconcat version 1.0\nfile other.wav\n"],
)
def test_playlists_of_strangers_are_refused(playlist, tmp_path):
    write(tmp_path / "other.wav", tones(1000))
    for name in ("x.m3u8", "x.mp3", "x.wav"):
        (tmp_path / name).write_bytes(playlist)
        with pytest.raises(AudioReadError), AudioReader(tmp_path / name, only_audio=True) as reader:
            list(reader)
