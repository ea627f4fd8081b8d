"""Several stems in one file: what DJ programs look for is there, and nothing is lost."""

import io
import json
import shutil
import struct
import subprocess

import numpy as np
import pytest

from tests.helpers.signals import error_db, tones
from unweave import OptionError
from unweave.audio.atoms import append_to_user_data, find_atom, read_atoms
from unweave.audio.decode import AudioReader
from unweave.audio.stem_files import STEM_MP4, VDJSTEMS, stem_atom
from unweave.separation.output import OutputOptions, stem_paths
from unweave.separation.stem_set import StemSet
from unweave.types import Stems

N_SAMPLES = 70_001


def stems(names=("vocals", "drums", "bass", "piano", "other")):
    return Stems(
        {name: (0.3 * np.roll(tones(N_SAMPLES), 97 * k, axis=1)).astype(np.float32) for k, name in enumerate(names)},
        44100,
    )


def test_streams_are_found_however_their_stems_are_written():
    source = stems(("Vocals", "Drums", "inst"))
    rows = np.split(STEM_MP4.rows(source), 5)
    for row, name in zip(rows[1:], ("Drums", None, "inst", "Vocals"), strict=True):
        np.testing.assert_array_equal(row, source[name] if name else 0 * rows[0])


def written(tmp_path, codec, bitrate="256k", names=("vocals", "drums", "bass", "piano", "other"), **options):
    chosen = OutputOptions(codec, bitrate, **options)
    source = stems(names)
    paths = stem_paths(tmp_path / "song.mp3", tmp_path / "out", list(source), chosen)
    assert len(set(paths.values())) == 1
    with StemSet(paths, chosen, sample_rate=44100, n_channels=2) as files:
        for start in range(0, N_SAMPLES, 30_000):
            part = {name: waveform[:, start : start + 30_000] for name, waveform in source.items()}
            files.write(Stems(part, 44100))
        files.commit()
    return source, next(iter(paths.values()))


def streams(path, count):
    found = []
    for number in range(count):
        with AudioReader(path, stream=number) as reader:
            found.append(np.concatenate(list(reader), axis=1))
    return found


def expected(source):
    return {
        "mixture": sum(source.values()),
        "drums": source["drums"],
        "bass": source["bass"],
        "other": source["other"] + source["piano"],
        "vocals": source["vocals"],
    }


@pytest.mark.parametrize(("bitrate", "limit_db"), [("256k", -25), ("lossless", -80)])
def test_a_stem_file_holds_the_mixture_and_four_stems(tmp_path, bitrate, limit_db):
    source, path = written(tmp_path, "stem.mp4", bitrate)
    assert path == tmp_path / "out" / "song.stem.mp4"
    for (name, wanted), found in zip(expected(source).items(), streams(path, 5), strict=True):
        assert found.shape == (2, N_SAMPLES), name
        assert error_db(found, wanted) < limit_db, name


def test_a_stem_file_atom_by_atom(tmp_path):
    _, path = written(tmp_path, "stem.mp4")
    with path.open("rb") as file:
        kinds = [atom.kind for atom in read_atoms(file)]
        assert kinds[0] == b"ftyp"
        assert kinds[-1] == b"moov"
        atom = find_atom(file, b"moov", b"udta", b"stem")
        file.seek(atom.start + 8)
        description = json.loads(file.read(atom.stop - atom.start - 8))
        assert description["version"] == 1
        assert [stem["name"] for stem in description["stems"]] == ["Drums", "Bass", "Other", "Vocals"]
        assert all(stem["color"].startswith("#") and len(stem["color"]) == 7 for stem in description["stems"])
        assert set(description["mastering_dsp"]) == {"compressor", "limiter"}
        movie = find_atom(file, b"moov")
        tracks = [a for a in read_atoms(file, movie.start + 8, movie.stop) if a.kind == b"trak"]
        enabled = []
        for track in tracks:
            header = next(a for a in read_atoms(file, track.start + 8, track.stop) if a.kind == b"tkhd")
            file.seek(header.start + 8)
            enabled.append(struct.unpack(">I", file.read(4))[0] & 1)
        assert enabled == [1, 0, 0, 0, 0]  # a player that knows no stems plays the mixture alone


def test_stempeg_reads_it(tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("stempeg needs the program ffmpeg")
    stempeg = pytest.importorskip("stempeg")
    source, path = written(tmp_path, "stem.mp4", "lossless")
    read, rate = stempeg.read_stems(str(path))
    assert rate == 44100
    assert read.shape == (5, N_SAMPLES, 2)
    for wanted, found in zip(expected(source).values(), read, strict=True):
        assert error_db(found.T, wanted) < -80


def test_ffprobe_reads_it(tmp_path):
    if shutil.which("ffprobe") is None:
        pytest.skip("needs the program ffprobe")
    for codec in ("stem.mp4", "vdjstems"):
        _, path = written(tmp_path, codec)
        command = ["ffprobe", "-v", "error", "-print_format", "json", "-show_streams", str(path)]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
        assert [stream["codec_name"] for stream in found] == ["aac"] * 5
        assert [stream["duration_ts"] for stream in found] == [N_SAMPLES] * 5
        titles = STEM_MP4.titles if codec == "stem.mp4" else VDJSTEMS.titles
        assert [stream["tags"]["handler_name"] for stream in found] == list(titles)


def test_virtualdj_finds_five_titled_streams(tmp_path):
    import av

    source, path = written(tmp_path, "vdjstems", "lossless")
    with av.open(str(path)) as container:
        assert [s.metadata["title"] for s in container.streams.audio] == list(VDJSTEMS.titles)
    vocal, hihat, bass, instruments, kick = streams(path, 5)
    assert not hihat.any()
    for found, wanted in (
        (vocal, source["vocals"]),
        (bass, source["bass"]),
        (instruments, source["other"] + source["piano"]),
        (kick, source["drums"]),
    ):
        assert found.shape == (2, N_SAMPLES)
        assert error_db(found, wanted) < -80


def test_two_stems_fill_what_they_can(tmp_path):
    source, path = written(tmp_path, "stem.mp4", "lossless", names=("vocals", "accompaniment"))
    mixture, drums, bass, other, vocals = streams(path, 5)
    assert not drums.any()
    assert not bass.any()
    assert error_db(other, source["accompaniment"]) < -80
    assert error_db(vocals, source["vocals"]) < -80
    assert error_db(mixture, source["vocals"] + source["accompaniment"]) < -80


def test_what_stem_files_cannot_do(tmp_path):
    with pytest.raises(OptionError, match="rescaled"):
        written(tmp_path, "stem.mp4", clip="rescale")
    with pytest.raises(OptionError, match="cannot be lossless"):
        OutputOptions("mp3", "lossless")
    assert not list(tmp_path.rglob("*.part"))


def atom(kind, payload):
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def test_boxes_are_added_where_they_belong():
    track = atom(b"trak", atom(b"tkhd", b"1234"))
    file = io.BytesIO(atom(b"ftyp", b"isom") + atom(b"mdat", b"x" * 9) + atom(b"moov", track))
    append_to_user_data(file, b"name", b"one", track=0)
    append_to_user_data(file, b"stem", stem_atom())
    append_to_user_data(file, b"more", b"two")
    assert [a.kind for a in read_atoms(file)] == [b"ftyp", b"mdat", b"moov"]
    for path in (
        (b"moov", b"trak", b"tkhd"),
        (b"moov", b"trak", b"udta", b"name"),
        (b"moov", b"udta", b"stem"),
        (b"moov", b"udta", b"more"),
    ):
        found = find_atom(file, *path)
        assert found is not None, path
    file.seek(found.start + 8)
    assert file.read(3) == b"two"


@pytest.mark.parametrize(
    "raw",
    [
        atom(b"moov", b"") + atom(b"mdat", b"x"),
        atom(b"ftyp", b"isom"),
        atom(b"moov", b"\0\0"),
        struct.pack(">I4s", 99, b"moov"),
        struct.pack(">I4s", 4, b"moov"),
    ],
)
def test_files_that_are_no_such_file(raw):
    with pytest.raises(ValueError, match=r"atom"):
        append_to_user_data(io.BytesIO(raw), b"stem", b"x")


@pytest.mark.parametrize("codec", ["stem.mp4", "vdjstems"])
@pytest.mark.parametrize("bitrate", ["256k", "lossless"])
def test_streams_are_stereo_for_a_mono_song_too(tmp_path, codec, bitrate):
    """Mixxx refuses mono streams; both sides hold the same."""
    import av

    source = Stems({name: waveform[:1] for name, waveform in stems().items()}, 44100)
    chosen = OutputOptions(codec, bitrate)
    paths = stem_paths(tmp_path / "song.mp3", tmp_path / "out", list(source), chosen)
    with StemSet(paths, chosen, sample_rate=44100, n_channels=1) as files:
        files.write(source)
        files.commit()
    path = next(iter(paths.values()))
    with av.open(str(path)) as container:
        assert [stream.codec_context.layout.nb_channels for stream in container.streams.audio] == [2] * 5
    limit_db = -80 if bitrate == "lossless" else -25
    wanted = expected(source)
    order = wanted if codec == "stem.mp4" else {"vocals": wanted["vocals"]}
    for (name, mono), found in zip(order.items(), streams(path, 5), strict=False):
        assert found.shape == (2, N_SAMPLES), name
        assert error_db(found, np.repeat(mono, 2, axis=0)) < limit_db, name


def test_the_stem_file_of_a_mono_song_by_the_separator(tmp_path, toy):
    import av

    from tests.audio.test_files import write

    song = write(tmp_path / "mono.wav", tones(20_000)[:1])
    for path in set(toy.separate_file(song, tmp_path / "out", OutputOptions("stem.mp4")).values()):
        with av.open(str(path)) as container:
            assert {stream.codec_context.layout.nb_channels for stream in container.streams.audio} == {2}
