"""Projects for a DAW: the stems are in them or beside them, where they are said to be, and all or nothing is there."""

import errno
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers import dawproject, reaper
from tests.helpers.signals import noise, tones
from unweave import AudioWriteError, OptionError
from unweave.audio.tags import Tags
from unweave.separation import project_files
from unweave.separation.mix import Mix
from unweave.separation.output import OutputOptions, stem_paths
from unweave.separation.projects import PROJECT
from unweave.separation.remix import project_paths, write_stems
from unweave.separation.stem_set import StemSet
from unweave.types import Stems

N = 5000
NAMES = ("vocals", "drums")


def stems(level=0.3):
    return Stems({name: level / 0.5 * np.roll(tones(N), 97 * k, axis=1) for k, name in enumerate(NAMES)}, 44100)


def written(folder, codec, source=None, tags=None, mix=None, **options):
    source = source or stems()
    chosen = OutputOptions(codec, bit_depth="32f", **options)
    paths = stem_paths(Path("song.mp3"), folder, list(source), chosen)
    with StemSet(paths, chosen, sample_rate=44100, n_channels=2, tags=Tags(tags or {}), mix=mix) as files:
        for start in (0, 3000):
            stop = 3000 if start == 0 else N
            files.write(Stems({name: stem[:, start:stop] for name, stem in source.items()}, 44100))
        files.commit()
    return paths


def below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_dawproject_is_one_file_with_all_stems(tmp_path):
    mix = Mix({"drums": -6.0}, mute=["vocals"], pans={"drums": 0.5})
    paths = written(tmp_path / "out", "dawproject", tags={"title": "One", "bpm": "97"}, mix=mix)
    assert set(paths.values()) == {tmp_path / "out" / "song.dawproject"}
    assert below(tmp_path / "out") == ["song.dawproject"]
    tracks, tempo, metadata = dawproject.read(paths["vocals"], tmp_path / "in")
    assert tempo == 97
    assert metadata == {"Title": "One"}
    assert [(t.name, t.gain, t.pan, t.is_muted) for t in tracks] == [
        ("vocals", 1.0, 0.5, True),
        ("drums", pytest.approx(10 ** (-6 / 20)), 0.75, False),
    ]
    for track in tracks:
        ((time, seconds, path, rate, n_channels),) = track.clips
        assert (time, round(seconds * rate), n_channels) == (0, N, 2)
        np.testing.assert_array_equal(read(tmp_path / "in" / path), stems()[track.name])


def test_a_reaper_project_lies_beside_its_stems(tmp_path):
    paths = written(tmp_path, "rpp", mix=Mix({"vocals": 6.0}, solo=["vocals"], pans={"vocals": -1}))
    assert below(tmp_path) == ["song/drums.wav", "song/song.rpp", "song/vocals.wav"]
    assert paths[PROJECT] == tmp_path / "song" / "song.rpp"
    root = reaper.parse(paths[PROJECT].read_text())
    assert root.one("TEMPO") == ["120", "4", "4"]
    for track, name in zip(root.all("TRACK"), NAMES, strict=True):
        assert track.one("NAME") == [name]
        ((file,),) = [source.one("FILE") for item in track.all("ITEM") for source in item.all("SOURCE")]
        np.testing.assert_array_equal(read(paths[PROJECT].parent / file), stems()[name])
    gain, pan, *_ = root.all("TRACK")[0].one("VOLPAN")
    assert (float(gain), float(pan)) == (pytest.approx(10 ** (6 / 20)), -1)
    assert [track.one("MUTESOLO")[1] for track in root.all("TRACK")] == ["1", "0"]


def test_the_tempo_that_is_asked_for_counts(tmp_path):
    paths = written(tmp_path, "rpp", tags={"bpm": "97"}, tempo=141)
    assert reaper.parse(paths[PROJECT].read_text()).one("TEMPO")[0] == "141"
    for tempo in (19, 1000, float("nan"), "fast", True):
        with pytest.raises(OptionError, match="expected a tempo from 20 to 999"):
            OutputOptions("rpp", tempo=tempo)


@pytest.mark.parametrize(
    ("codec", "template", "expected"),
    [
        ("dawproject", "{filename}/{instrument}.{codec}", ["out/song.dawproject"]),
        ("dawproject", "{filename}-{instrument}", ["out/song-stems.dawproject"]),
        ("rpp", "{foldername}/{filename} {stem}.{codec}",
         ["out/a/song vocals.wav", "out/a/song drums.wav", "out/a/song stems.rpp"]),
        ("rpp", "{stem}/{filename}.wav", ["out/vocals/song.wav", "out/drums/song.wav", "out/stems/song.wav.rpp"]),
    ],
)  # fmt: skip
def test_where_projects_are(codec, template, expected):
    paths = stem_paths(Path("/a/song.mp3"), Path("out"), NAMES, OutputOptions(codec, filename_format=template))
    assert list(dict.fromkeys(path.as_posix() for path in paths.values())) == expected


def test_stems_in_other_folders_are_found_from_the_project(tmp_path):
    paths = written(tmp_path, "rpp", filename_format="{stem}/{filename}.{codec}")
    (file,) = reaper.parse(paths[PROJECT].read_text()).all("TRACK")[0].all("ITEM")[0].all("SOURCE")[0].one("FILE")
    assert file == "../vocals/song.wav"


def test_templates_and_names_that_cannot_be():
    with pytest.raises(OptionError, match="several stems the same path"):
        stem_paths(Path("song.mp3"), Path("out"), NAMES, OutputOptions("rpp", filename_format="{filename}.{codec}"))
    for codec in ("dawproject", "rpp"):
        with pytest.raises(OptionError, match="cannot be called 'project'"):
            stem_paths(Path("song.mp3"), Path("out"), (*NAMES, PROJECT), OutputOptions(codec))
    odd = OutputOptions("rpp", filename_format="{filename}-{stem}.{codec}")
    with pytest.raises(OptionError, match="REAPER cannot name the file"):
        stem_paths(Path("\"'`.mp3"), Path("out"), NAMES, odd)


@pytest.mark.parametrize("codec", ["dawproject", "rpp"])
def test_rescaled_stems_keep_their_balance(tmp_path, codec):
    loud = stems(level=1.5)
    chosen = OutputOptions(codec, clip="rescale", bit_depth="24")
    paths = stem_paths(Path("song.mp3"), tmp_path, NAMES, chosen)
    with StemSet(paths, chosen, sample_rate=44100, n_channels=2) as files:
        files.write(loud)
        files.commit()
    folder = tmp_path / "song"
    if codec == "dawproject":
        tracks, *_ = dawproject.read(paths["vocals"], tmp_path)
        folder = tmp_path / "audio"
        assert [track.gain for track in tracks] == [1, 1]
    peak = max(np.abs(stem).max() for stem in loud.values())
    for name in NAMES:
        np.testing.assert_allclose(read(folder / f"{name}.wav"), loud[name] / peak, atol=2e-7)


@pytest.mark.parametrize("codec", ["dawproject", "rpp"])
def test_all_or_nothing(tmp_path, codec, monkeypatch):
    first = written(tmp_path, codec)
    before = {name: (tmp_path / name).read_bytes() for name in below(tmp_path)}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(project_files, "project_xml" if codec == "dawproject" else "project_text", full)
    with pytest.raises(AudioWriteError, match=rf"song\.{codec}: no space left"):
        written(tmp_path, codec, stems(level=0.1))
    assert {name: (tmp_path / name).read_bytes() for name in below(tmp_path)} == before
    assert all(path.exists() for path in first.values())


@pytest.mark.parametrize("codec", ["dawproject", "rpp"])
def test_nothing_is_left_of_what_was_not_finished(tmp_path, codec):
    chosen = OutputOptions(codec)
    paths = stem_paths(Path("song.mp3"), tmp_path, NAMES, chosen)
    with StemSet(paths, chosen, sample_rate=44100, n_channels=2) as files:
        files.write(stems())
    assert below(tmp_path) == []


def test_a_song_becomes_a_project(toy, tmp_path):
    song = write(tmp_path / "song.wav", noise(20_000, 1))
    paths = toy.separate_file(song, tmp_path / "out", OutputOptions("dawproject"))
    tracks, *_ = dawproject.read(paths["vocals"], tmp_path)
    assert [track.name for track in tracks] == list(toy.stems)
    assert {clip[3:] for track in tracks for clip in track.clips} == {(44100, 1)}
    with pytest.raises(OptionError, match="stems of a rpp file must not share any sound"):
        toy.separate_file(song, tmp_path / "out", OutputOptions("rpp"), stems=["vocals", "no_vocals", "accompaniment"])


@pytest.mark.parametrize("name", ["mix.dawproject", "mix.RPP"])
def test_a_remix_as_a_project_has_the_faders_and_the_sensitivity(toy, tmp_path, name):
    song = write(tmp_path / "song.wav", noise(30_000))
    mix = Mix({"vocals": -6.0}, pans={"accompaniment": 0.5}, sensitivities={"vocals": 0.8})
    options = OutputOptions(name.rpartition(".")[2], bit_depth="32f")
    toy.remix_file(song, tmp_path / name, mix, options)
    if options.codec == "dawproject":
        tracks, *_ = dawproject.read(tmp_path / name, tmp_path)
        assert [round(track.pan, 6) for track in tracks] == [0.5, 0.75]
    files = {stem: read(tmp_path / ("audio" if options.codec == "dawproject" else "mix") / f"{stem}.wav")
             for stem in toy.stems}  # fmt: skip
    toy.remix_file(song, tmp_path / "mix.wav", mix, OutputOptions(bit_depth="32f"))
    np.testing.assert_allclose(mix.apply(files), read(tmp_path / "mix.wav"), atol=1e-6)
    plain = toy.separate(song)
    np.testing.assert_allclose(sum(files.values()), sum(plain.values()), atol=1e-5)
    assert np.linalg.norm(files["vocals"]) > 1.02 * np.linalg.norm(plain["vocals"])


def test_another_rate_and_number_of_channels(tmp_path):
    options = OutputOptions("rpp", sample_rate=22050, n_channels=1)
    paths = project_paths(tmp_path / "mix.rpp", NAMES, tmp_path / "song.wav", options)
    write_stems([stems()], Mix(), paths, options, sample_rate=44100, n_channels=2, tags=Tags())
    assert read(paths["vocals"]).shape == (1, N // 2)
    (length,) = reaper.parse(paths[PROJECT].read_text()).all("TRACK")[0].all("ITEM")[0].one("LENGTH")
    assert float(length) == pytest.approx(N / 44100, abs=1e-8)


def test_a_project_never_overwrites_its_song(toy, tmp_path):
    song = write(tmp_path / "mix" / "vocals.wav", noise(5000))
    with pytest.raises(OptionError, match="is the input itself"):
        toy.remix_file(song, tmp_path / "mix.rpp", Mix(), OutputOptions("rpp"))
    assert below(tmp_path / "mix") == ["vocals.wav"]


@pytest.mark.parametrize("name", [" mix.rpp", "a\nb.rpp", "'\"`.rpp"])
def test_a_remix_has_no_name_that_reaper_cannot_follow(name, tmp_path):
    """The project would name files that are not there."""
    with pytest.raises(OptionError, match="REAPER cannot name the file"):
        project_paths(tmp_path / name, NAMES, tmp_path / "song.wav", OutputOptions("rpp"))
    assert project_paths(tmp_path / name, NAMES, tmp_path / "song.wav", OutputOptions("dawproject"))


def test_a_stem_may_be_called_project_elsewhere(tmp_path):
    paths = {PROJECT: tmp_path / "a.wav"}
    with StemSet(paths, OutputOptions(bit_depth="32f"), sample_rate=44100, n_channels=2) as files:
        files.write(Stems({PROJECT: tones(100)}, 44100))
        files.commit()
    np.testing.assert_array_equal(read(paths[PROJECT]), tones(100))


def test_the_archive_is_not_compressed(tmp_path):
    """Programs read audio straight from it."""
    paths = written(tmp_path, "dawproject")
    with zipfile.ZipFile(paths["vocals"]) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
