"""Files are there whole or not at all; what killed processes leave is removed, and what others are writing is not."""

import itertools
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import pytest

from tests.helpers.signals import tones
from tests.helpers.windows import open_elsewhere
from unweave import files
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import find_format
from unweave.files import FOREIGN_SECONDS, PREFIX, SUFFIX, PartFile, remove_orphans, replace_file

WRITER = """
import sys, time
from pathlib import Path
from unweave.files import PartFile
part = PartFile(Path(sys.argv[1]))
part.file.write(b"half")
print(part.temporary, flush=True)
sys.stdin.read()
part.commit()
"""


def start_writer(target, *prefix):
    """A process that writes to ``target`` and commits when its standard input ends; and its part file."""
    command = [*prefix, sys.executable, "-c", WRITER, str(target)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


@pytest.fixture
def writer(tmp_path):
    process, part = start_writer(tmp_path / "song.wav")
    yield process, part
    process.kill()
    process.communicate()


def parts(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(SUFFIX))


def test_what_another_process_is_writing_stays(writer, tmp_path):
    process, part = writer
    os.utime(part, (0, 0))  # however long ago it wrote last
    remove_orphans([tmp_path])
    assert os.path.exists(part)
    process.communicate("")
    assert (tmp_path / "song.wav").read_bytes() == b"half"
    assert parts(tmp_path) == []


def test_what_a_killed_process_left_is_removed(writer, tmp_path):
    process, part = writer
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert os.path.exists(part)
    remove_orphans([tmp_path])
    assert not os.path.exists(part)


def test_a_process_number_means_nothing(writer, tmp_path):
    """In another container the writer's number may be free here, or another process's."""
    _, part = writer
    assert str(writer[0].pid) not in os.path.basename(part).removeprefix(PREFIX).split("-")
    remove_orphans([tmp_path])
    assert os.path.exists(part)


def in_a_container():
    """What starts a process with process numbers of its own; nothing where that is not allowed."""
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    try:
        subprocess.run([*command, "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return command


def test_two_containers_on_one_machine(tmp_path):
    process, part = start_writer(tmp_path / "song.wav", *in_a_container())
    try:
        remove_orphans([tmp_path])
        assert os.path.exists(part)
    finally:
        process.communicate("")
    assert (tmp_path / "song.wav").exists()


@pytest.mark.parametrize("name", [f"{PREFIX}elsewhere-1-x{SUFFIX}", f"{PREFIX}0123abcd-aa{SUFFIX}"])
def test_files_of_other_machines_stay_for_a_day(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"half")
    remove_orphans([tmp_path])
    assert path.exists()
    old = time.time() - FOREIGN_SECONDS - 60
    os.utime(path, (old, old))
    remove_orphans([tmp_path])
    assert not path.exists()


def test_other_files_and_missing_folders_are_left_alone(tmp_path):
    names = ["x.part", ".unweave-journal", "song.wav.part"]
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    remove_orphans([tmp_path, tmp_path / "missing", tmp_path / "x.part"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_writer_stays_locked_until_its_file_has_its_name(tmp_path):
    """A finished stem waits for the others, whose encoders may take minutes."""
    with AudioWriter(tmp_path / "x.wav", find_format("wav"), sample_rate=44100, n_channels=2) as one:
        one.write(tones(1000))
        one.finish()
        command = [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from unweave.files import remove_orphans",
        ]
        command[-1] += "; remove_orphans([Path(sys.argv[1])])"
        subprocess.run([*command, str(tmp_path)], check=True)
        remove_orphans([tmp_path])
        assert one.temporary.exists()
        one.commit()
    assert (tmp_path / "x.wav").exists()
    assert parts(tmp_path) == []


def test_removing_and_writing_at_once(tmp_path):
    """Whoever removes orphans all the time never takes a file that is being made."""
    stop = threading.Event()

    def remove():
        while not stop.is_set():
            remove_orphans([tmp_path])

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        for number in range(200):
            replace_file(tmp_path / "x", b"%d" % number)
            assert (tmp_path / "x").read_bytes() == b"%d" % number
    finally:
        stop.set()
        thread.join()
    assert parts(tmp_path) == []


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002])
def test_new_files_have_the_rights_that_the_umask_leaves(tmp_path, umask, monkeypatch):
    before = os.umask(umask)
    try:
        # From here on nobody may change it, not even for a moment: it belongs to all threads.
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
        replace_file(tmp_path / "x.json", b"{}")
        with AudioWriter(tmp_path / "x.wav", find_format("wav"), sample_rate=44100, n_channels=2) as writer:
            writer.write(tones(100))
            writer.finish()
            writer.commit()
        (tmp_path / "plain").touch()
    finally:
        monkeypatch.undo()
        os.umask(before)
    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert rights == dict.fromkeys(("x.json", "x.wav", "plain"), 0o666 & ~umask)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "x.json"
    replace_file(target, b"old")
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "no space left")))
    with pytest.raises(OSError, match="no space"):
        replace_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize("n_times", [3, None])
def test_a_file_that_a_scanner_has_open_for_a_moment(tmp_path, monkeypatch, n_times):
    """Windows renames no file that is open elsewhere: it is tried again, for a while."""
    monkeypatch.setattr(files, "SECONDS_UNTIL_CLOSED", 60.0 if n_times else 0.03)
    refusals = [open_elsewhere() for _ in range(n_times)] if n_times else itertools.repeat(open_elsewhere())
    waiting, replace = iter(refusals), os.replace

    def refusing(source, target):
        for refusal in waiting:
            raise refusal
        replace(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    target = tmp_path / "x.json"
    target.write_bytes(b"old")
    with (
        nullcontext()
        if n_times
        else pytest.raises(PermissionError, match="another program has it open, or it may not be changed")
    ):
        replace_file(target, b"new")
    assert target.read_bytes() == (b"new" if n_times else b"old")
    assert os.listdir(tmp_path) == ["x.json"]


def test_what_is_not_allowed_is_not_tried_twice(tmp_path, monkeypatch):
    tried = []

    def closed(*paths):
        tried.append(paths)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", closed)
    with pytest.raises(PermissionError):
        replace_file(tmp_path / "x.json", b"new")
    assert len(tried) == 1


def test_long_names(tmp_path):
    """The temporary name is short, so that a name of 255 bytes can be written."""
    target = tmp_path / ("x" * 251 + ".wav")
    replace_file(target, b"raw")
    assert target.read_bytes() == b"raw"


@pytest.mark.parametrize("has_locks", [True, False])
def test_a_file_whose_number_changes(tmp_path, monkeypatch, has_locks):
    """``os.stat`` and ``os.fstat`` may tell different numbers of one file, as in VirtualBox's folders on Windows."""
    if not has_locks:
        monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(os.path, "samestat", lambda one, other: False)
    replace_file(tmp_path / "x.json", b"raw")
    assert (tmp_path / "x.json").read_bytes() == b"raw"
    assert os.listdir(tmp_path) == ["x.json"]


def test_discarding_twice_and_after_commit(tmp_path):
    part = PartFile(tmp_path / "x")
    part.file.write(b"1")
    part.commit()
    part.discard()
    assert (tmp_path / "x").read_bytes() == b"1"
    other = PartFile(tmp_path / "y")
    other.discard()
    other.discard()
    assert os.listdir(tmp_path) == ["x"]


def write_a_song(folder):
    with AudioWriter(folder / "x.wav", find_format("wav"), sample_rate=44100, n_channels=2) as one:
        one.write(tones(1000))
        one.finish()
        one.commit()


def interrupted_at(number, action):
    """Whether Ctrl-C came, in the ``number``-th line of part files and of making a writer that ``action`` runs."""
    n_lines = 0

    def trace(frame, event, argument):
        nonlocal n_lines
        code = frame.f_code
        # Elsewhere in the writer a lock is held; a trace can come between it and the block that gives it back.
        if not (code.co_filename.endswith("unweave/files.py") or code is AudioWriter.__init__.__code__):
            return None
        n_lines += event == "line"
        if event == "line" and n_lines == number:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the file that nobody held yet
def test_an_interrupt_in_any_line_leaves_nothing(tmp_path):
    number = 1
    while interrupted_at(number, lambda: write_a_song(tmp_path)):
        assert parts(tmp_path) == [], f"interrupted in line {number}"
        number += 1
    assert number > 30
    assert (tmp_path / "x.wav").stat().st_size > 4000


def test_a_process_that_ends_leaves_nothing_and_takes_nothing_from_its_parent(tmp_path):
    code = "import os, sys; from pathlib import Path; from unweave.files import PartFile"
    code += "; part = PartFile(Path(sys.argv[1]))"
    child = "; pid = os.fork(); pid and os.waitpid(pid, 0); pid and print(part.temporary.exists())"
    fork = hasattr(os, "fork")
    command = [sys.executable, "-c", code + (child if fork else "; print(True)"), str(tmp_path / "x")]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout == "True\n"
    assert parts(tmp_path) == []
