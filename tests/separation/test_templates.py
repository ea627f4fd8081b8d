"""Names from a template: below the output folder, and such as the system can hold."""

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from unweave.errors import AudioWriteError, OptionError
from unweave.separation.output import OutputOptions, file_label, folder_label, relative_stem_paths, stem_paths
from unweave.separation.templates import is_unfit_for_windows, relative_path, safe_name

VALUES = {"filename": "song", "foldername": "album", "instrument": "vocals", "stem": "vocals", "codec": "wav"}


def paths(source, template="{filename}/{instrument}.{codec}", stems=("vocals",), folder=Path("out"), **options):
    return stem_paths(Path(source), folder, stems, OutputOptions(filename_format=template, **options))


@pytest.mark.parametrize(
    "template",
    [
        "{artist}/{instrument}.wav",
        "{instrument",
        "{0}.{instrument}",
        "{}.{instrument}",
        "{filename.foo}.wav",
        "{filename.__class__}.wav",
        "{instrument.wav}",
        "{filename[x]}.wav",
        "{filename[0]}.wav",
        "{filename!r}.wav",
        "{filename!x}.wav",
        "{filename:d}.wav",
        "{filename:>9999999999}.wav",
        "{filename:{codec}}.wav",
    ],
)
def test_a_field_that_is_none(template):
    with pytest.raises(OptionError, match="the fields are"):
        paths("x.mp3", template)


def test_names_can_be_cut_to_a_length():
    assert paths("a long name.mp3", "{filename:.6}_{stem}.{codec}")["vocals"] == Path("out/a long_vocals.wav")


@pytest.mark.parametrize(
    "template",
    [
        "../{filename}_{stem}.wav",
        "{filename}/../../{stem}.wav",
        "/tmp/{filename}_{stem}.wav",
        "//host/share/{stem}.wav",
        "x/..",
    ],
)
def test_a_template_cannot_leave_the_output_folder(template):
    with pytest.raises(OptionError, match="outside the output folder"):
        paths("song.mp3", template)


@pytest.mark.parametrize("template", ["", ".", "./", "{filename}/", "{filename}/.", "x\0{stem}"])
def test_a_template_without_a_file_name(template):
    with pytest.raises(OptionError, match="not a file name"):
        paths("song.mp3", template)


@pytest.mark.parametrize(
    ("name", "folder"), [("...mp3", "...mp3"), ("..mp3", "..mp3"), (".mp3", ".mp3"), ("..", "song"), ("", "song")]
)
def test_dots_are_no_folder(name, folder):
    assert file_label(PurePosixPath(name)) == folder
    assert paths(name)["vocals"] == Path("out") / folder / "vocals.wav"


def test_the_folder_of_a_file_in_the_working_folder(tmp_path, monkeypatch):
    folder = tmp_path / "album" / "deeper"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    template = "{foldername}/{filename}_{instrument}.{codec}"
    assert paths("song.mp3", template)["vocals"] == Path("out/deeper/song_vocals.wav")
    assert paths("./song.mp3", template)["vocals"] == Path("out/deeper/song_vocals.wav")
    assert paths("../song.mp3", template)["vocals"] == Path("out/album/song_vocals.wav")
    assert folder_label(Path("/song.mp3")) == "root"


@pytest.mark.parametrize("stem", ["../../evil", "a/b", "/etc/passwd", "nul\0l"])
def test_a_stem_with_a_strange_name_stays_in_the_folder(stem):
    (path,) = paths("song.mp3", stems=(stem,)).values()
    assert path.parent == Path("out/song")


@pytest.mark.parametrize("stem", ["..", "."])
def test_a_stem_called_like_a_folder(stem):
    with pytest.raises(OptionError):
        paths("song.mp3", "{filename}/{stem}", stems=(stem,))


def test_stems_that_differ_in_case_only():
    with pytest.raises(OptionError, match="several stems the same path"):
        paths("song.mp3", stems=("Vocals", "vocals"))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{filename}/{instrument}.{codec}", r"song\vocals.wav"),
        (r"{filename}\{instrument}.{codec}", r"song\vocals.wav"),
        (r"{foldername}\{filename}/{stem}.wav", r"album\song\vocals.wav"),
    ],
)
def test_windows_knows_both_slashes(template, expected):
    assert relative_path(template, VALUES, PureWindowsPath) == PureWindowsPath(expected)


@pytest.mark.parametrize(
    "template",
    [
        r"C:\{stem}.wav",
        r"C:{stem}.wav",
        "c:/{stem}.wav",
        r"\{stem}.wav",
        r"\\server\share\{stem}.wav",
        r"\\?\C:\{stem}.wav",
        r"..\{stem}.wav",
        r"{filename}\..\..\{stem}.wav",
    ],
)
def test_windows_paths_that_leave_the_folder(template):
    with pytest.raises(OptionError, match="outside the output folder"):
        relative_path(template, VALUES, PureWindowsPath)


@pytest.mark.parametrize(
    "template",
    [
        "CON/{stem}.wav",
        "con.{codec}",
        "nul",
        "aux.tar.gz",
        "{filename}/com1.{codec}",
        "lpt³",
        "{filename}./{stem}.wav",
        "{filename} /{stem}.wav",
        "{stem}.wav.",
        "{stem}.wav ",
        "{stem}.wav:stream",
        "{stem}?.wav",
        '"{stem}".wav',
        "{stem}|.wav",
        "a*/{stem}.wav",
    ],
)
def test_names_that_windows_cannot_hold(template):
    with pytest.raises(OptionError, match="on Windows no file can be called"):
        relative_path(template, VALUES, PureWindowsPath)
    relative_path(template, VALUES, PurePosixPath)  # while others can


def test_names_of_songs_are_made_fit_for_windows():
    stems = relative_stem_paths("Who? What: Where...", "a.", ["vocals"], OutputOptions(), PureWindowsPath)
    assert stems["vocals"] == PureWindowsPath(r"Who_ What_ Where\vocals.wav")
    cut = OutputOptions(filename_format="{filename:.5} - {filename:.9}/{stem}.wav")
    stems = relative_stem_paths("Who? What: Where...", "a.", ["vocals"], cut, PureWindowsPath)
    assert stems["vocals"] == PureWindowsPath(r"Who_ - Who_ What\vocals.wav")  # no folder's name ends with a blank
    assert safe_name("...", PureWindowsPath) == "_"
    assert safe_name("a\\b", PurePosixPath) == "a\\b"
    assert not is_unfit_for_windows("console.wav")
    assert not is_unfit_for_windows("com10")


@pytest.mark.parametrize("deep", [False, True])
def test_a_name_that_is_too_long_is_noticed_before_the_work(tmp_path, deep):
    template = "{filename}/{instrument}.{codec}" if deep else "new/{filename}_{instrument}.{codec}"
    with pytest.raises(AudioWriteError, match="too long"):
        paths("x" * 252 + ("yyyy" if deep else "") + ".mp3", template, folder=tmp_path / "not there yet")
    assert list(tmp_path.iterdir()) == []
