import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.signals import error_db, noise
from unweave import Separator
from unweave.audio.encode import AudioWriter
from unweave.errors import AudioWriteError, OptionError
from unweave.separation.output import OutputOptions, stem_paths
from unweave.separation.stem_set import StemSet
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


def test_two_stems_on_one_path():
    with pytest.raises(OptionError, match="several stems the same path"):
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
        {"sample_rate": float("nan")},
        {"sample_rate": 44100.5},
        {"sample_rate": "44100"},
        {"sample_rate": 0},
        {"sample_rate": -1},
        {"n_channels": 3},
        {"n_channels": True},
        {"bitrate": "nan"},
        {"bitrate": "inf"},
        {"bitrate": "1e999k"},
        {"bitrate": ""},
        {"bitrate": "0"},
        {"bitrate": -128},
    ],
)
def test_unusable_options(options):
    with pytest.raises(OptionError):
        OutputOptions(**options)


def test_options_as_people_write_them():
    options = OutputOptions("WAV", "320", "32F", "Clamp", sample_rate=44100.0, n_channels=np.int64(2))
    assert options == OutputOptions("wav", "320k", "32f", "clamp", sample_rate=44100, n_channels=2)
    assert type(options.sample_rate) is int
    assert [OutputOptions(bitrate=given).bitrate for given in (128, "96 ", "128000", "0.2M", "Lossless")] == [
        "128k",
        "96k",
        "128000",
        "0.2m",
        "lossless",
    ]
    assert stem_paths(Path("a.mp3"), Path("out"), STEMS, OutputOptions("MP3"))["vocals"] == Path("out/a/vocals.mp3")


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


def set_of(tmp_path, n_samples=1000, **options):
    """A set of two stems, written and not yet committed."""
    paths = {name: tmp_path / f"{name}.wav" for name in STEMS}
    files = StemSet(paths, OutputOptions(**options), sample_rate=44100, n_channels=2)
    files.write(stems_of(n_samples))
    return paths, files


@pytest.mark.parametrize("clip", ["clamp", "rescale"])
@pytest.mark.parametrize("links", ["of links too", "of files only", "none"])  # what the system can give second names
@pytest.mark.parametrize("old", ["both", "first", "second", "none"])
def test_a_rename_that_fails_leaves_everything_as_it_was(tmp_path, monkeypatch, clip, links, old):
    paths, files = set_of(tmp_path, clip=clip)
    before = {}
    for name, path in paths.items():
        if old in ("both", "first" if name == "vocals" else "second"):
            path.write_bytes(f"the old {name}".encode())
            before[path] = path.read_bytes()
    replace = os.replace

    def failing(source, target):
        if target == paths["accompaniment"] and "-old" not in str(source):
            raise OSError(30, "Read-only file system")
        replace(source, target)

    def no_links(*arguments, **options):
        raise OSError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing)
        if links == "of files only":
            patch.setattr(os, "supports_follow_symlinks", set())
        if links == "none":
            patch.setattr(os, "link", no_links)
            patch.setattr(os, "supports_follow_symlinks", {no_links})
        with pytest.raises(AudioWriteError, match="read-only"), files:
            files.commit()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("played", STEMS)
def test_a_stem_that_is_being_played_leaves_everything_as_it_was(tmp_path, monkeypatch, caplog, played):
    """Windows replaces nothing that another program has open, not even by a second name of the same file."""
    paths, files = set_of(tmp_path)
    for name, path in paths.items():
        path.write_bytes(f"the old {name}".encode())
    replace = os.replace

    def refusing(source, target):
        if target == paths[played]:
            raise PermissionError(13, "Access is denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(AudioWriteError, match=f"{played}.wav: access is denied"), files:
        files.commit()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        f"{name}.wav": f"the old {name}".encode() for name in STEMS
    }
    assert caplog.messages == []  # nothing is said to be lost


def test_a_folder_in_the_way_leaves_everything_as_it_was(tmp_path):
    paths, files = set_of(tmp_path)
    paths["vocals"].write_bytes(b"old")
    paths["accompaniment"].mkdir()
    with pytest.raises(AudioWriteError, match="directory"), files:
        files.commit()
    assert paths["vocals"].read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["accompaniment.wav", "vocals.wav"]


def test_an_interrupt_between_two_renames_leaves_everything_as_it_was(tmp_path, monkeypatch):
    paths, files = set_of(tmp_path)
    paths["vocals"].write_bytes(b"old")
    replace = os.replace

    def interrupted(source, target):
        replace(source, target)
        if "-old" not in str(source):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), files:
        files.commit()
    assert paths["vocals"].read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["vocals.wav"]


@pytest.mark.skipif(os.name == "nt", reason="locks")
def test_old_files_are_locked_while_the_new_ones_take_their_names(tmp_path, monkeypatch):
    """So that another process in the same folder does not tidy them away."""
    import fcntl

    paths, files = set_of(tmp_path)
    for path in paths.values():
        path.write_bytes(b"old")
    replace, n_locked = os.replace, []

    def looking(source, target):
        for old in tmp_path.glob("*-old.part"):
            with old.open("rb") as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            n_locked.append(old)
        replace(source, target)

    monkeypatch.setattr(os, "replace", looking)
    with files:
        files.commit()
    assert len(n_locked) == 4
    assert sorted(os.listdir(tmp_path)) == ["accompaniment.wav", "vocals.wav"]


def test_old_files_are_replaced_and_nothing_is_left_of_them(tmp_path):
    paths, files = set_of(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"not a stem")
    paths["vocals"].symlink_to(elsewhere)
    paths["accompaniment"].write_bytes(b"old")
    with files:
        files.commit()
    assert not paths["vocals"].is_symlink()
    assert elsewhere.read_bytes() == b"not a stem"
    assert read(paths["vocals"]).shape == read(paths["accompaniment"]).shape == (2, 1000)
    assert len(os.listdir(tmp_path)) == 3


def test_a_stem_file_of_one_stem_holds_the_whole_song(tmp_path):
    options = OutputOptions("stem.mp4", "lossless")
    mixture, vocals = noise(5000, seed=1), noise(5000, seed=2)
    path = tmp_path / "song.stem.mp4"
    with StemSet({"vocals": path}, options, sample_rate=44100, n_channels=2) as files:
        for part in (slice(0, 2000), slice(2000, 5000), slice(5000, 5000)):
            files.write(Stems({"vocals": vocals[:, part]}, 44100), mixture[:, part])
        files.commit()
    np.testing.assert_allclose(read(path, stream=0), mixture, atol=1e-4)
    np.testing.assert_allclose(read(path, stream=4), vocals, atol=1e-4)


def test_a_mixture_changes_nothing_where_no_stream_holds_it(tmp_path):
    for name, codec in (("with", "vdjstems"), ("without", "vdjstems")):
        options = OutputOptions(codec, "lossless")
        with StemSet(dict.fromkeys(STEMS, tmp_path / name), options, sample_rate=44100, n_channels=2) as files:
            files.write(stems_of(1000), noise(1000, seed=7) if name == "with" else None)
            files.commit()
    np.testing.assert_array_equal(read(tmp_path / "with", stream=0), read(tmp_path / "without", stream=0))
    paths, files = set_of(tmp_path, n_samples=100)
    with files:
        files.write(stems_of(50), noise(50))
        files.commit()
    assert read(paths["vocals"]).shape == (2, 150)


def test_a_mixture_of_another_length(tmp_path):
    with (
        StemSet({"vocals": tmp_path / "x"}, OutputOptions("stem.mp4"), sample_rate=44100, n_channels=2) as files,
        pytest.raises(OptionError, match="shape"),
    ):
        files.write(Stems({"vocals": noise(100)}, 44100), noise(99))


def test_a_stem_file_holds_the_song_as_it_is(toy_json, tmp_path):
    """Also where the stems do not add up to it: these are of 11 kHz."""
    samples = noise(30_000)
    song = write(tmp_path / "song.wav", samples)
    separator = Separator(str(toy_json), quality="exact")
    paths = separator.separate_file(song, tmp_path / "out", OutputOptions("stem.mp4", "lossless"))
    (path,) = set(paths.values())
    assert np.abs(sum(separator.separate(song).values()) - samples).max() > 0.05
    np.testing.assert_allclose(read(path, stream=0), samples, atol=1e-4)


@pytest.mark.parametrize(("codec", "advice"), [("wav", True), ("mp3", True), ("stem.mp4", False), ("vdjstems", False)])
def test_rescaling_is_recommended_only_where_it_can_be_had(tmp_path, caplog, codec, advice):
    options = OutputOptions(codec)
    with StemSet({"vocals": tmp_path / "x"}, options, sample_rate=44100, n_channels=2) as files:
        files.write(Stems({"vocals": noise(3000, level=2)}, 44100))
        files.commit()
    assert "beyond full scale" in caplog.text
    assert ("clip=rescale" in caplog.text) is advice
    assert "32-bit float wav" in caplog.text


@pytest.mark.parametrize(
    ("codec", "rate", "written"), [("opus", 44100, 48000), ("mp3", 96000, 48000), ("ogg", 384_000, 192_000)]
)
def test_a_rate_that_the_format_cannot_have_is_told(codec, rate, written, caplog):
    assert OutputOptions(codec, sample_rate=rate).rate_for(44100) == written
    assert f"{codec} files cannot have a sample rate of {rate} Hz; they will have {written} Hz" in caplog.text
    caplog.clear()
    OutputOptions(codec, sample_rate=48000)
    OutputOptions(codec).rate_for(rate)
    assert caplog.text == ""


def test_clamped_samples_are_told_wherever_a_file_is_written(tmp_path, caplog):
    from unweave.audio.encode import wav_file
    from unweave.compat.spleeter.audio.adapter import AudioAdapter

    loud = np.full((2, 100), 1.5, np.float32)
    with wav_file(tmp_path / "live.wav", 44100) as write:
        write(loud)
    AudioAdapter.default().save(tmp_path / "saved.wav", loud.T, 44100)
    for name in ("live", "saved"):
        assert f"{name}.wav: 200 samples beyond full scale were clamped (peak +3.5 dB)\n" in caplog.text


def test_what_is_no_number_is_silence_where_it_plays():
    from unweave.audio.encode import wav_pipe

    pipe = io.BytesIO()
    with wav_pipe(pipe, 44100) as write:
        write(np.array([[0.5, np.nan, np.inf, 2], [-0.5, 0.25, -np.inf, -2]], np.float32))
    samples = np.frombuffer(pipe.getvalue()[44:], "<i2").reshape(-1, 2).T
    assert samples.tolist() == [[16384, 0, 0, 32767], [-16384, 8192, 0, -32768]]


def encoding(tmp_path, codec):
    options = OutputOptions(codec=codec)
    paths = stem_paths(tmp_path / "song.wav", tmp_path / "out", STEMS, options)
    return paths, StemSet(paths, options, sample_rate=44100, n_channels=2)


@pytest.mark.parametrize("codec", ["flac", "ogg"])
def test_stems_are_encoded_side_by_side_and_in_order(tmp_path, monkeypatch, codec):
    both_are_at_it = threading.Barrier(2, timeout=60)
    write_one = AudioWriter._write

    def write_together(writer, waveform):
        both_are_at_it.wait()
        write_one(writer, waveform)

    monkeypatch.setattr(AudioWriter, "_write", write_together)
    song = {name: noise(60_000, seed=seed) for seed, name in enumerate(STEMS)}
    paths, files = encoding(tmp_path, codec)
    with files:
        for start in range(0, 60_000, 20_000):
            files.write(Stems({name: stem[:, start : start + 20_000] for name, stem in song.items()}, 44100))
        files.commit()
    for name, path in paths.items():
        found = read(path)
        assert found.shape == (2, 60_000)
        assert error_db(found, song[name]) < (-60 if codec == "flac" else 0)


def test_an_error_in_one_encoder_ends_all(tmp_path, monkeypatch):
    def write_fails(writer, waveform):
        if writer.path.stem == "accompaniment":
            raise AudioWriteError("no room")

    monkeypatch.setattr(AudioWriter, "_write", write_fails)
    _, files = encoding(tmp_path, "flac")
    with pytest.raises(AudioWriteError, match="no room"), files:
        files.write(Stems({name: noise(100) for name in STEMS}, 44100))
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("codec", "template", "told"),
    [
        ("wav", "{instrument}.mp3", ".mp3, but they are wav files"),
        ("mp3", "{instrument}.WAV", ".wav, but they are mp3 files"),
        ("flac", "{instrument}.{codec}", ""),
        ("flac", "{instrument}.flac", ""),
        ("wav", "{instrument}.take", ""),
        ("rpp", "{filename}/{instrument}.wav", ""),
    ],
)
def test_an_ending_of_another_format_is_told(codec, template, told, caplog):
    OutputOptions(codec=codec, filename_format=template)
    assert told in caplog.text
    assert bool(told) == bool(caplog.text)
