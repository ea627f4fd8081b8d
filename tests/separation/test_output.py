import os
from pathlib import Path

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import noise
from unweave.errors import AudioWriteError, OptionError
from unweave.separation.output import OutputOptions, StemSet, stem_paths
from unweave.types import Stems

STEMS = ("vocals", "accompaniment")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{filename}/{instrument}.{codec}", "song.v1/vocals.wav"),
        ("{foldername}/{filename}_{stem}.{codec}", "album/song.v1_vocals.wav"),
        ("{instrument}.wav", "vocals.wav"),
    ],
)
def test_templates(template, expected):
    paths = stem_paths(Path("/music/album/song.v1.mp3"), Path("out"), STEMS, OutputOptions(filename_format=template))
    assert paths["vocals"] == Path("out") / expected


@pytest.mark.parametrize("template", ["{artist}/{instrument}.wav", "{instrument", "{0}.{instrument}"])
def test_a_template_with_unknown_fields(template):
    with pytest.raises(OptionError, match="its fields are"):
        stem_paths(Path("x.mp3"), Path("out"), STEMS, OutputOptions(filename_format=template))


def test_two_stems_on_one_path():
    with pytest.raises(OptionError, match="several stems one path"):
        stem_paths(Path("x.mp3"), Path("out"), STEMS, OutputOptions(filename_format="{filename}.{codec}"))


def test_the_input_is_not_overwritten(tmp_path):
    path = write(tmp_path / "vocals.wav", noise(100))
    with pytest.raises(OptionError, match="input itself"):
        stem_paths(path, tmp_path, STEMS, OutputOptions(filename_format="{instrument}.wav"))


@pytest.mark.parametrize(
    "options",
    [
        {"bit_depth": "8"},
        {"bit_depth": "32f", "codec": "flac"},
        {"codec": "midi"},
        {"clip": "ignore"},
        {"bitrate": "loud"},
        {"sample_rate": 3},
    ],
)
def test_unusable_options(options):
    with pytest.raises(OptionError):
        OutputOptions(**options)


def stems_of(n_samples):
    return Stems({"vocals": noise(n_samples), "accompaniment": noise(n_samples)}, 44100)


@pytest.mark.parametrize("clip", ["clamp", "rescale"])
def test_a_set_appears_together(tmp_path, clip):
    paths = {name: tmp_path / f"{name}.wav" for name in STEMS}
    with StemSet(paths, OutputOptions(clip=clip), sample_rate=44100, n_channels=2) as files:
        files.write(stems_of(1000))
        assert not any(path.exists() for path in paths.values())
        files.commit()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accompaniment.wav", "vocals.wav"]


@pytest.mark.parametrize("clip", ["clamp", "rescale"])
def test_after_an_error_there_is_none(tmp_path, clip):
    paths = {name: tmp_path / "out" / f"{name}.wav" for name in STEMS}

    def fail():
        with StemSet(paths, OutputOptions(clip=clip), sample_rate=44100, n_channels=2) as files:
            files.write(stems_of(1000))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_if_one_cannot_be_opened_none_is_left(tmp_path):
    (tmp_path / "in the way").write_text("")
    paths = {"vocals": tmp_path / "vocals.wav", "accompaniment": tmp_path / "in the way" / "x.wav"}
    with pytest.raises(AudioWriteError):
        StemSet(paths, OutputOptions(), sample_rate=44100, n_channels=2)
    assert os.listdir(tmp_path) == ["in the way"]
