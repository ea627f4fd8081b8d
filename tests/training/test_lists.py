"""Lists of training files, as Excel and its like write them, and with every mistake named at its place."""

import re

import pytest

from tests.helpers.band import stems, write_wav
from tests.training.test_plan import spleeter_files
from unweave import OptionError
from unweave.training.lists import read_rows
from unweave.training.plan import SourcePlan
from unweave.training.spleeter_plan import spleeter_plan
from unweave.training.tracks import find_training_tracks
from unweave.training.trainer import train

STEMS = ("vocals", "bass")
HEAD = "mix_path,vocals_path,bass_path,duration\n"
GOOD = "söng/mix.wav,söng/vocals.wav,söng/bass.wav,8.0\n"


@pytest.fixture
def music(tmp_path):
    """A song whose folder has a name beyond ASCII."""
    for stem in STEMS:
        write_wav(tmp_path / "söng" / f"{stem}.wav", stems(0, 0.1)[stem])
    return tmp_path


def listed(folder, text, encoding="utf-8", **options):
    path = folder / "train.csv"
    path.write_bytes(text.encode(encoding))
    return find_training_tracks(SourcePlan(path, **options), STEMS)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (HEAD + GOOD, "utf-8"),
        (HEAD + GOOD, "utf-8-sig"),
        (HEAD + GOOD, "utf-16"),
        ((HEAD + GOOD).replace(",", ";"), "utf-8"),
        ((HEAD + GOOD).replace(",", ";"), "utf-8-sig"),
        ((HEAD + GOOD).replace(",", "\t"), "utf-8"),
        ("sep=;\n" + (HEAD + GOOD).replace(",", ";"), "utf-8-sig"),
        ((HEAD + GOOD).replace("/", "\\"), "utf-8"),
        ((HEAD + GOOD).replace("\n", "\r\n"), "utf-8"),
        (HEAD + "\n" + GOOD + ",,,\n\n", "utf-8"),
        ("\n" + HEAD + GOOD, "utf-8"),
        (HEAD.upper() + GOOD, "utf-8"),
        (HEAD.replace(",", " , ") + GOOD.replace(",", ', "', 1).replace("s.wav,", 's.wav",', 1), "utf-8"),
        (HEAD + GOOD.rstrip("8.0\n").rstrip(","), "utf-8"),
    ],
    ids=["plain", "mark", "utf-16", "semicolons", "semicolons and mark", "tabs", "sep", "backslashes", "crlf",
         "empty lines", "first line empty", "capitals", "spaces", "short line"],
)  # fmt: skip
def test_lists_as_programs_write_them(music, text, encoding):
    (track,) = listed(music, text, encoding)
    assert track.name == "söng/mix"
    assert [file.path.resolve() for file in track.files] == [music / "söng" / f"{stem}.wav" for stem in STEMS]


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        (HEAD + GOOD + GOOD.replace("söng/bass", "söng 9/bass"), "line 3, column bass_path", "söng 9/bass.wav"),
        (HEAD + GOOD + GOOD.replace("/bass.wav", ""), "line 3, column bass_path", "is not a file"),
        (HEAD + "\n\n" + GOOD.replace("söng/vocals.wav", ""), "line 4, column vocals_path", "the value is missing"),
        (HEAD + GOOD.replace("söng/mix.wav", " "), "line 2, column mix_path", "the value is missing"),
        (HEAD + GOOD.replace("bass.wav", 300 * "x"), "line 2, column bass_path", "too long"),
        (HEAD + GOOD.replace("bass.wav", "ba\0ss.wav"), "line 2", ""),
        (HEAD + "a,b,c,d,e\n", "line 2, column 5", "expected 4 values"),
        (HEAD + '"two\nlines",x.wav,y.wav,1\n', "line 2, column vocals_path", "x.wav does not exist"),
        (HEAD + '"two\nlines",söng/vocals.wav,söng/bass.wav,1\n' + GOOD + "a,x.wav,y.wav,1\n", "line 5", "x.wav"),
        ("sep=;\n" + (HEAD + "a,x.wav,y.wav,1\n").replace(",", ";"), "line 3, column vocals_path", "x.wav"),
        ("mix_path,vocals_path,vocals_path\na,b,c\n", "line 1", "two columns"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(music, text, place, what):
    with pytest.raises(OptionError) as caught:
        listed(music, text)
    assert f"train.csv, {place}" in str(caught.value)
    assert what in str(caught.value)


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "mac-roman"])
def test_lists_in_other_encodings_are_named_with_the_place(music, encoding, delimiter):
    text = (HEAD + "plain,x,y,1\n" + "plain,söng/vocals.wav,y,1\n").replace(",", delimiter)
    with pytest.raises(OptionError, match=r"train\.csv, line 3, column vocals_path: .* is not UTF-8"):
        listed(music, text, encoding)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (HEAD, "is empty"),
        ("mix_path,vocals_path\nx,söng/vocals.wav\n", "no column bass_path; it has mix_path, vocals_path"),
        ("a,b\nc,d\n", r"must have the columns .* it has a, b"),
        ("track,stem,path,weight\nx,bass,söng/bass.wav,heavy\n", "expected a number above 0, got 'heavy'"),
        ("track,stem,path,weight\nx,bass,söng/bass.wav,nan\n", "line 2, column weight"),
        ("track,stem,path,weight\nx,bass,söng/bass.wav,-1\n", "line 2, column weight"),
        ("track,stem,path\nx,bass,söng/none.wav\n", r"line 2, column path: .*none\.wav does not exist"),
        ("track,stem,path\nx,drums,söng/bass.wav\n", "line 2, column stem: drums matches none of the stems"),
        ("track,stem,path\n,bass,söng/bass.wav\n", "line 2, column track: the value is missing"),
    ],
)  # fmt: skip
def test_what_else_is_wrong_with_a_list(music, text, message):
    with pytest.raises(OptionError, match=message):
        listed(music, text)


def test_weights_may_have_a_decimal_comma(music):
    (track,) = listed(music, "track;stem;path;weight\nx;bass;söng\\bass.wav;0,5\n")
    assert track.weight == 0.5


def test_a_backslash_in_a_name_is_kept_where_there_is_such_a_file(music):
    write_wav(music / "odd\\name.wav", stems(0, 0.1)["bass"])
    (row,) = read_rows_of(music, "path\nodd\\name.wav\n")
    assert row.file("path", music) == music / "odd\\name.wav"


def read_rows_of(folder, text):
    (folder / "list.csv").write_text(text)
    return read_rows(folder / "list.csv")


def test_a_list_that_may_not_be_read(music, monkeypatch):
    (music / "train.csv").mkdir()
    with pytest.raises(OptionError, match=re.escape(f"cannot read {music / 'train.csv'}")):
        read_rows(music / "train.csv")


def test_a_file_that_goes_away_before_it_is_decoded(music, tmp_path):
    from unweave.training.shards import prepare_shards

    tracks = listed(music, HEAD + GOOD)
    (music / "söng" / "bass.wav").unlink()
    with pytest.raises(OptionError, match=r"cannot read .*bass\.wav"):
        prepare_shards(tracks, tmp_path / "cache", 8000)


def test_a_file_that_is_no_audio_is_named(music, tmp_path):
    from unweave.errors import AudioReadError
    from unweave.training.shards import prepare_shards

    (music / "söng" / "bass.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioReadError, match=r"bass\.wav"):
        prepare_shards(listed(music, HEAD + GOOD), tmp_path / "cache", 8000)
    assert not list((tmp_path / "cache").glob("shards-*"))


def test_a_missing_file_for_validation_is_found_before_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configuration = spleeter_files(tmp_path)
    with (tmp_path / "validation.csv").open("a") as file:
        file.write("song 9/mix.wav,song 9/vocals.wav,song 9/bass.wav,8.0\n")
    with pytest.raises(OptionError, match=r"validation\.csv, line 3, column vocals_path"):
        train(spleeter_plan(configuration, tmp_path / "data"))


def test_hidden_files_are_not_trained_on(tmp_path):
    """macOS leaves such beside every file on foreign disks; with the pattern * they would be a stem's."""
    for stem, waveform in stems(0, 1.0).items():
        write_wav(tmp_path / "song" / f"{stem}.wav", waveform)
        (tmp_path / "song" / f"._{stem}.wav").write_bytes(b"\0\5\x16\7")
    (tmp_path / "._song.stem.mp4").write_bytes(b"\0\5\x16\7")
    (track,) = find_training_tracks(SourcePlan(tmp_path), [*stems(0, 1.0)])
    assert not [file.path for file in track.files if file.path.name.startswith(".")]
    assert len(track.files) == len(stems(0, 1.0))
