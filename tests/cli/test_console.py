"""What the command line prints, in-process: any name on any stream, and one line for whatever goes wrong."""

import io
import logging
import os
import sys
from pathlib import Path

import pytest

from unweave.cli.console import print_any_name, shown_path, visible
from unweave.cli.failures import EXIT_FAILED, failures_shown
from unweave.cli.progress import LiveReporter, make_reporter
from unweave.cli.spleeter import _show_written
from unweave.errors import AudioReadError
from unweave.separation.outcome import Outcome
from unweave.separation.progress import Progress

NAMES = ("plain", "絆", "caf\udce9", "\ud83d", "é")


@pytest.mark.parametrize(
    ("encoding", "errors", "expected"),
    [
        ("utf-8", "strict", "plain 絆 caf\\udce9 \\ud83d é".encode()),
        ("cp1252", "strict", rb"plain \u7d46 caf\udce9 \ud83d " + b"\xe9"),
        ("ascii", "surrogateescape", rb"plain \u7d46 caf\udce9 \ud83d \xe9"),
    ],
)
def test_any_name_on_any_stream(monkeypatch, encoding, errors, expected):
    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors)
    monkeypatch.setattr(sys, "stdout", stream)
    print_any_name()
    print(*NAMES, end="", flush=True)
    assert stream.buffer.getvalue() == expected


def test_bytes_go_through_where_they_did(monkeypatch):
    """As to another program in the locale C.UTF-8, which finds the file by what it is given."""
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape")
    monkeypatch.setattr(sys, "stdout", stream)
    print_any_name()
    print("caf\udce9 絆", end="", flush=True)
    assert stream.buffer.getvalue() == b"caf\xe9 " + "絆".encode()


def test_a_stream_that_is_none(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    print_any_name()


def test_bars_of_any_name(capsys):
    """Two songs of one name in two folders have a bar each."""
    with LiveReporter() as reporter:
        for name in NAMES:
            for folder in ("one", "two"):
                reporter.progress(Path(folder) / f"[{name}].mp3", Progress(1.0, 3.0))
        assert len(reporter._tasks) == 2 * len(NAMES)
        for name in NAMES:
            for folder in ("one", "two"):
                source = Path(folder) / f"[{name}].mp3"
                reporter.outcome(Outcome(source, "failed", error=AudioReadError("broken")))
        assert not reporter._tasks
    assert capsys.readouterr().err.count("broken") == 2 * len(NAMES)


def test_one_file_of_several_stems_is_named_once(capsys):
    with make_reporter(as_json=False) as reporter:
        reporter.outcome(Outcome(Path("a.mp3"), "done", dict.fromkeys(("vocals", "drums"), Path("a.stem.mp4"))))
        reporter.outcome(Outcome(Path("b.mp3"), "skipped", dict.fromkeys(("vocals", "drums"), Path("b.stem.mp4"))))
    assert capsys.readouterr().out.splitlines() == ["wrote a.stem.mp4", "kept b.stem.mp4"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/closed/folder"), "/closed/folder: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (FileNotFoundError(2, "No such file", b"caf\xe9"), "caf\\udce9: No such file"),
        (OSError("something of a library's"), "something of a library's"),
        (MemoryError(), "there is not enough memory"),
    ],
)
def test_what_the_machine_refuses_is_one_line(capsys, error, said):
    with pytest.raises(SystemExit) as ended, failures_shown():
        raise error
    assert ended.value.code == EXIT_FAILED
    assert capsys.readouterr().err == f"unweave: error: {said}\n"


@pytest.mark.parametrize(
    ("platform", "error", "is_told"),
    [
        ("linux", BrokenPipeError(32, "Broken pipe"), False),
        ("win32", OSError(22, "Invalid argument"), False),
        ("win32", OSError(22, "Invalid argument", "a?.wav"), True),
        ("linux", OSError(22, "Invalid argument"), True),
    ],
)
def test_a_reader_that_has_seen_enough_is_no_fault(capsys, monkeypatch, platform, error, is_told):
    """As ``more`` that was left; Windows calls its pipe an invalid argument."""
    closed = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "dup2", lambda *handles: closed.append(os.close(handles[0])))
        patch.setattr(sys.stdout, "fileno", lambda: 1)
        patch.setattr(sys, "platform", platform)
        with pytest.raises(SystemExit) as ended, failures_shown():
            raise error
    assert ended.value.code == EXIT_FAILED
    assert (capsys.readouterr().err != "") == is_told
    assert len(closed) == (not is_told)


def test_a_library_that_windows_lacks_is_one_line(capsys):
    """As on a new machine, for ONNX Runtime."""
    said = "DLL load failed while importing onnxruntime_pybind11_state: The specified module could not be found."
    with pytest.raises(SystemExit) as ended, failures_shown():
        raise ImportError(said)
    assert ended.value.code == EXIT_FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"unweave: error: {said} Windows lacks Microsoft's Visual C++ Redistributable")
    with pytest.raises(ImportError), failures_shown():
        raise ImportError("cannot import name 'x' from 'y'")


def test_bugs_are_shown_as_they_are():
    with pytest.raises(ZeroDivisionError), failures_shown():
        raise ZeroDivisionError


@pytest.mark.parametrize(("verbose", "expected"), [(False, 0), (True, 1)])
def test_tracebacks_in_the_log_are_for_those_who_ask(capsys, monkeypatch, verbose, expected):
    logger = logging.getLogger("unweave")
    monkeypatch.setattr(logger, "handlers", [])
    with failures_shown(verbose):
        try:
            raise RuntimeError("a bug")
        except RuntimeError:
            logger.exception("it went wrong")
        logger.warning("a warning is shown anyway")
    shown = capsys.readouterr().err
    assert shown.count("Traceback") == expected
    assert shown.count("it went wrong") == expected
    assert "a warning is shown anyway" in shown


HOSTILE = "a\x1b]0;title\x07\x1b[2J\x9b31m\rb\nunweave: error: c\u202egpj.mp3"


def test_what_would_steer_a_terminal_is_shown_instead(capsys, monkeypatch):
    """A stranger's song may be called so: in errors, in the log, on the bar and, on a terminal, among the stems."""
    expected = r"a\x1b]0;title\x07\x1b[2J\x9b31m\rb\nunweave: error: c\u202egpj.mp3"
    assert visible(HOSTILE) == expected
    assert visible("絆 caf\udce9 שלום\u200f [1]") == "絆 caf\udce9 שלום\u200f [1]"
    monkeypatch.setattr(logging.getLogger("unweave"), "handlers", [])
    with failures_shown():
        logging.getLogger("unweave").warning("%s: odd", HOSTILE)
    with pytest.raises(SystemExit), failures_shown():
        raise AudioReadError(f"cannot read {HOSTILE}")
    assert capsys.readouterr().err.splitlines() == [
        f"unweave: warning: {expected}: odd",
        # an error is one line anyway
        f"unweave: error: cannot read {expected}".replace(r"\rb\n", " b "),
    ]
    with LiveReporter() as reporter:
        reporter.progress(Path(HOSTILE), Progress(1.0, 3.0))
        (task,) = reporter._bars.tasks
        assert visible(task.description) == task.description
    assert shown_path(Path(HOSTILE)) == HOSTILE  # another program must find the file
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert shown_path(Path(HOSTILE)) == expected
    _show_written([Path(HOSTILE)])
    assert capsys.readouterr().out == f"INFO:spleeter:File {expected} written succesfully\n"
