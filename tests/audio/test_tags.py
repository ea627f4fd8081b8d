"""What a song says about itself, its stems say too."""

import io

import av
import numpy as np
import pytest

from tests.helpers.signals import tones
from unweave.audio.covers import is_picture
from unweave.audio.decode import AudioReader
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import find_format
from unweave.audio.tags import Tags

TEXTS = {"title": "Blätter", "artist": "Die Weber", "album": "Fäden", "date": "2024", "genre": "Rock"}


def picture(codec="png", size=48):
    """A file with a picture."""
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as out:
        stream = out.add_stream(codec, rate=1)
        stream.width = stream.height = size
        stream.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.full((size, size, 3), 99, np.uint8), format="rgb24")
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def written(path, tags, n_samples=50_000):
    format = find_format(path.suffix[1:])
    with AudioWriter(path, format, sample_rate=format.sample_rate(44100), n_channels=2, tags=tags) as writer:
        writer.write(tones(n_samples))
        writer.finish()
        writer.commit()
    return path


def tags_of(path):
    with AudioReader(path) as reader:
        return reader.tags


@pytest.mark.parametrize("codec", ["png", "mjpeg"])
@pytest.mark.parametrize("extension", ["mp3", "flac", "m4a"])
def test_tags_and_cover_there_and_back(tmp_path, extension, codec):
    cover = picture(codec)
    path = written(tmp_path / f"song.{extension}", Tags(TEXTS, cover))
    found = tags_of(path)
    assert {key: found.texts[key] for key in TEXTS} == TEXTS
    assert found.cover == cover
    with AudioReader(path) as reader:
        assert sum(block.shape[1] for block in reader) == 50_000


@pytest.mark.parametrize("extension", ["wav", "ogg", "opus"])
def test_containers_without_pictures_are_left_without(tmp_path, extension):
    found = tags_of(written(tmp_path / f"song.{extension}", Tags(TEXTS, picture())))
    assert found.cover is None
    assert {key: found.texts[key] for key in TEXTS} == TEXTS


@pytest.mark.parametrize("extension", ["wav", "ogg", "flac"])
def test_an_empty_text_is_left_out(tmp_path, extension):
    assert tags_of(written(tmp_path / f"song.{extension}", Tags({"title": "", "artist": "Ada"}))).texts == {
        "artist": "Ada"
    }


def test_a_broken_picture_is_left_out(tmp_path):
    assert not is_picture(b"no picture")
    path = written(tmp_path / "song.mp3", Tags(TEXTS, b"\x89PNG broken"))
    assert tags_of(path).cover is None
    assert tags_of(path).texts["title"] == TEXTS["title"]


def test_what_describes_the_file_is_not_kept(tmp_path):
    found = tags_of(written(tmp_path / "song.mp3", Tags({"title": "x"})))
    assert set(found.texts) == {"title"}


def test_stems_carry_the_tags_of_their_song(tmp_path, toy):
    from unweave.separation.output import OutputOptions

    song = written(tmp_path / "song.mp3", Tags(TEXTS, picture()))
    for codec in ("flac", "m4a", "stem.mp4"):
        paths = toy.separate_file(song, tmp_path / "out", OutputOptions(codec))
        for path in paths.values():
            found = tags_of(path)
            assert {key: found.texts[key] for key in TEXTS} == TEXTS
            assert found.cover == picture()
