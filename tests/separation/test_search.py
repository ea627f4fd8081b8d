"""Which files a folder search finds: all audio, once, and none of unweave's own."""

import ntpath
import os
import shutil
import threading
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import noise
from unweave.audio.formats import READABLE_EXTENSIONS
from unweave.errors import AudioReadError
from unweave.separation import search
from unweave.separation.batch import BatchOptions, separate_files
from unweave.separation.journal import FILE, Entry, Journal, append_entry
from unweave.separation.search import find_tasks


def names(folder, out="out", recursive=True):
    return sorted(str(task.source.relative_to(folder)) for task in find_tasks([folder], Path(out), recursive=recursive))


@pytest.fixture
def song(tmp_path):
    return write(tmp_path / "music" / "song.wav", noise(5000))


def separated(toy, folder, out, **options):
    journal = Journal(out, "settings")
    tasks = find_tasks([folder], out, recursive=True)
    return separate_files(toy, tasks, BatchOptions(**options), journal=journal)


@pytest.mark.parametrize("out", ["stems", "", "a/b"])
def test_a_folder_with_its_own_stems_in_it(toy, song, out):
    out = song.parent / out
    for _ in range(3):
        outcomes = separated(toy, song.parent, out)
        assert [outcome.source for outcome in outcomes] == [song]
    assert len(list(song.parent.rglob("*.wav"))) == 3


def test_stems_of_an_earlier_run_into_another_folder(toy, song):
    separated(toy, song.parent, song.parent / "first")
    assert names(song.parent, song.parent / "second") == ["song.wav"]
    first = song.parent / "first"
    with pytest.raises(AudioReadError, match=r"first other than stems that unweave wrote; to separate those, name"):
        find_tasks([first], song.parent / "second", recursive=True)


def test_a_journal_from_elsewhere_hides_no_song_but_those_below_it(song):
    """An album from a stranger may have a journal in it."""
    album = song.parent / "album"
    for name in ("one.wav", "two.wav"):
        write(album / name, noise(5000))
    later = song.parent / "zoo" / "song.wav"
    stems = dict.fromkeys(("one.wav", "x/../../zoo/song.wav", "../zoo/song.wav", str(later)), (1, 1))
    append_entry(album / FILE, Entry({}, "settings", stems))
    write(later, noise(5000))
    assert names(song.parent) == ["album/two.wav", "song.wav", "zoo/song.wav"]


def test_a_journal_on_windows_hides_no_song_outside_its_folder(monkeypatch):
    names = ["one/vocals.wav", r"..\zoo\song.wav", r"x\..\..\zoo\song.wav", r"\zoo\song.wav", r"D:\song.wav", "D:x.wav"]
    entry = Entry({}, "settings", dict.fromkeys(names, (1, 1)))
    monkeypatch.setattr(search, "read_journal", lambda folder: [entry])
    monkeypatch.setattr(search, "os", SimpleNamespace(path=ntpath))
    assert search._Ours(PureWindowsPath(r"C:\music"))._paths == {r"C:\music\one\vocals.wav"}


def test_songs_that_were_deleted_are_left_out(song):
    """A drive keeps them in folders of these names; who names one of them means it. Albums may begin with dots, too."""
    for folder in (".Trash-1000/files", ".Trashes/501", "$RECYCLE.BIN/S-1-5", "System Volume Information", "#recycle"):
        write(song.parent / folder / "old.wav", noise(5000))
    for folder in ("...And Justice for All", ".5 The Gray Chapter"):
        write(song.parent / folder / "one.wav", noise(5000))
    assert names(song.parent) == ["...And Justice for All/one.wav", ".5 The Gray Chapter/one.wav", "song.wav"]
    assert names(song.parent / ".Trash-1000") == ["files/old.wav"]


def test_a_folder_without_audio_says_where_it_was_not_looked(song, tmp_path):
    (tmp_path / "above").mkdir()
    song.parent.rename(tmp_path / "above" / "music")
    with pytest.raises(AudioReadError) as caught:
        find_tasks([tmp_path / "above"], tmp_path / "out")
    folder = tmp_path / "above"
    assert str(caught.value) == f"no audio files in the folder {folder} (its subfolders are searched with --recursive)"
    (folder / "music" / "song.wav").unlink()
    with pytest.raises(AudioReadError) as caught:
        find_tasks([folder], tmp_path / "out", recursive=True)
    assert str(caught.value) == f"no audio files in the folder {folder}"


def test_a_closed_folder_is_one_outcome_and_the_rest_are_found(song, tmp_path, monkeypatch):
    (song.parent / "closed").mkdir()
    listing = Path.iterdir

    def iterdir(folder):
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listing(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    found = {task.source.name: task for task in find_tasks([song.parent], tmp_path / "out", recursive=True)}
    assert sorted(found) == ["closed", "song.wav"]
    assert found["song.wav"].error is None
    assert found["closed"].folder == tmp_path / "out"
    assert str(found["closed"].error).startswith(f"cannot open the folder {song.parent / 'closed'}: ")


def test_a_file_that_cannot_be_looked_at_is_left_to_its_reader(song, tmp_path, monkeypatch):
    for name, target in (("nowhere.wav", "none.wav"), ("loop.wav", "loop.wav"), ("below.wav", "song.wav/x.wav")):
        (song.parent / name).symlink_to(target)
    looking = Path.stat

    def looked(path, **options):
        if path == song:
            raise OSError(5, "Input/output error")
        return looking(path, **options)

    monkeypatch.setattr(Path, "is_file", lambda path: path != song and os.path.isfile(path))  # since Python 3.14
    monkeypatch.setattr(Path, "stat", looked)
    assert [task.source for task in find_tasks([song.parent], tmp_path / "out")] == [song]


def test_stem_files_are_not_separated_again(toy, song):
    from unweave.separation.output import OutputOptions

    for _ in range(2):
        outcomes = separated(toy, song.parent, song.parent, output=OutputOptions("stem.mp4"))
        assert [outcome.source for outcome in outcomes] == [song]
    assert sorted(os.listdir(song.parent)) == ["song.stem.mp4", "song.wav", FILE]


def test_the_output_folder_by_another_name(toy, song, tmp_path):
    separated(toy, song.parent, song.parent / "stems")
    (song.parent / "stems" / FILE).unlink()  # only the folder tells now
    os.symlink(song.parent / "stems", song.parent / "link")
    assert names(song.parent, song.parent / "link") == ["song.wav"]
    (song.parent / "x").mkdir()
    assert names(song.parent, song.parent / "x" / ".." / "stems") == ["song.wav"]
    # What lies above the searched folder is not left out with it.
    assert names(song.parent, tmp_path) == ["song.wav", "stems/song/accompaniment.wav", "stems/song/vocals.wav"]


def test_links_to_folders_are_followed_once(song, tmp_path):
    write(tmp_path / "elsewhere" / "far.wav", noise(100))
    music = song.parent
    (music / "album").mkdir()
    shutil.copy(song, music / "album" / "one.wav")
    os.symlink(tmp_path / "elsewhere", music / "a link")
    os.symlink(music / "album", music / "another")  # which is here anyway
    os.symlink(music, music / "album" / "loop")
    os.symlink(tmp_path, music / "above")
    os.symlink(tmp_path / "elsewhere", tmp_path / "elsewhere" / "itself")
    assert names(music) == ["a link/far.wav", "album/one.wav", "song.wav"]
    assert names(music, recursive=False) == ["song.wav"]
    (task,) = [task for task in find_tasks([music], Path("out"), recursive=True) if task.source.name == "far.wav"]
    assert task.folder == Path("out/a link")


@pytest.mark.parametrize("extension", ["ts", "mts", "dts", "TS", "mpc", "au", "amr", "m2ts", "rm"])
def test_source_code_is_not_audio(song, extension):
    code = song.parent / f"app.{extension}"
    code.write_text("export const answer: number = 42;\n" * 100)
    assert names(song.parent) == ["song.wav"]
    assert [task.source for task in find_tasks([code], Path("out"))] == [code]  # by name it is tried


def test_a_transport_stream_is_audio(song):
    import av

    path = song.parent / "recording.ts"
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("mp2", rate=44100)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray((noise(1152)[:1] * 1000).astype("int16"), format="s16", layout="mono")
        frame.sample_rate = 44100
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert names(song.parent) == ["recording.ts", "song.wav"]


def test_many_kinds_of_audio_and_video_are_known():
    wanted = "m4v wmv mpg mpeg m2ts mts weba amr dsf dff ogv spx eac3 dts mpc 3g2 aac m4b mka webm mp4 vob f4v"
    assert set(wanted.split()) <= READABLE_EXTENSIONS


def test_an_empty_folder_beside_a_song(toy, song, tmp_path):
    (tmp_path / "empty").mkdir()
    tasks = find_tasks([tmp_path / "empty", song], tmp_path / "out")
    outcomes = separate_files(toy, tasks, BatchOptions())
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert "no audio files" in str(outcomes[0].error)


def test_names_that_are_too_long_to_look_at(song):
    path = Path("x" * 5000 + ".wav")
    assert [task.source for task in find_tasks([path, song], Path("out"))] == [path, song]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_among_the_songs_is_not_waited_for(song):
    """An archive from a stranger may hold one, and nobody ever writes to it."""
    os.mkfifo(song.parent / FILE)
    os.mkfifo(song.parent / "pipe.wav")
    tasks, thread = [], threading.Thread(target=lambda: tasks.extend(names(song.parent)), daemon=True)
    thread.start()
    thread.join(10)
    assert tasks == [song.name]
