"""The command as users run it: a process of its own."""

import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from click.testing import CliRunner

from tests.audio.test_files import read, write
from tests.helpers import corpus, dawproject
from tests.helpers.signals import noise, tones
from unweave.cli import failures
from unweave.cli.failures import failures_shown
from unweave.cli.main import app


def unweave(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "unweave", *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


def files_below(folder):
    """All files but the journal."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "unweave-journal.jsonl")
    return sorted(str(path.relative_to(folder)) for path in found)


def assert_one_line(stderr):
    lines = [line for line in stderr.splitlines() if "warning:" not in line]
    assert len(lines) == 1, stderr
    assert lines[0].startswith("unweave: error: ")


def test_separates_a_song(toy_json, tmp_path):
    song = write(tmp_path / "song.mp3", tones(60_000))
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert files_below(tmp_path / "out") == ["song/accompaniment.wav", "song/vocals.wav"]
    assert read(tmp_path / "out/song/vocals.wav").shape == (2, 60_000)


def test_the_originals_flags(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(100_000))
    result = unweave(
        "separate",
        song,
        "--params_filename",
        toy_json,
        "--output_path",
        tmp_path / "out",
        "--codec",
        "flac",
        "--filename_format",
        "{foldername}-{filename}-{instrument}.{codec}",
        "--offset",
        0.5,
        "--duration",
        1,
        "--bitrate",
        "128k",
        "--mwf",
        "--verbose",
        "--stems",
        "vocals",
    )
    assert result.returncode == 0, result.stderr
    (name,) = files_below(tmp_path / "out")
    assert name == f"{tmp_path.name}-song-vocals.flac"
    assert read(tmp_path / "out" / name).shape == (2, 44_100)


def test_json_for_machines(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(60_000))
    result = unweave("separate", song, tmp_path / "missing.wav", "-p", toy_json, "-o", tmp_path / "out", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert {event["event"] for event in events} == {"progress", "done", "failed"}
    done = next(event for event in events if event["event"] == "done")
    assert set(done["stems"]) == {"vocals", "accompaniment"}
    assert result.returncode == 1


def test_bad_corpus(toy_json, tmp_path):
    folder = corpus.make(tmp_path / "corpus")
    for name in corpus.MUST_FAIL:
        result = unweave("separate", folder / name, "-p", toy_json, "-o", tmp_path / "out")
        assert result.returncode == 1, name
        assert_one_line(result.stderr)
        assert name in result.stderr
    assert not (tmp_path / "out").exists() or files_below(tmp_path / "out") == []
    works = [folder / name for name in corpus.MUST_WORK]
    result = unweave("separate", *works, "-p", toy_json, "-o", tmp_path / "out", "-f", "{filename} {stem}.{codec}")
    # Two of them differ only in their extension; each is tried alone where the names collide.
    for name in corpus.MUST_WORK:
        arguments = ["separate", folder / name, "-p", toy_json, "-o", tmp_path / "alone" / name]
        alone = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
        assert alone.exit_code == 0, (name, alone.output)
        for stem in (tmp_path / "alone" / name).rglob("*.wav"):
            assert np.isfinite(read(stem)).all()
    assert read(tmp_path / "alone" / "eight_bit.wav" / "eight_bit" / "vocals.wav").shape == (1, 8000)
    assert read(tmp_path / "alone" / "surround_71.wav" / "surround_71" / "vocals.wav").shape == (2, 48_000)
    assert result.returncode == 1
    assert "files failed" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "no-such-model"],
        ["-c", "midi"],
        ["--bit_depth", "12"],
        ["--stems", "kazoo"],
        ["-b", "loud"],
        ["-f", "{artist}"],
        ["-f", "same.wav"],
        ["--clip", "maybe"],
        ["-d", "-3"],
        ["-s", "-3"],
        ["-s", "nan"],
        ["-s", "inf"],
        ["-d", "nan"],
        ["-d", "inf"],
        ["-d", "0"],
        ["-b", "inf"],
        ["--sample_rate", "0"],
        ["-f", "{filename.foo}"],
        ["-f", "{filename[x]}"],
        ["-f", "{instrument.wav}"],
        ["-f", "{filename:>9999999999}"],
        ["-f", "../{filename}_{stem}.wav"],
        ["-f", "/tmp/{filename}_{stem}.wav"],
        ["--report", "report.txt"],
        ["--report", "song.wav/report.json"],
    ],
)
def test_bad_options(toy_json, tmp_path, arguments):
    song = write(tmp_path / "song.wav", tones(5000))
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "out", *arguments, cwd=tmp_path)
    assert result.returncode in (1, 2)
    assert "Traceback" not in result.stderr
    assert_one_line(result.stderr)
    assert files_below(tmp_path) == sorted(["song.wav", *files_below_toy(tmp_path)])
    assert not (tmp_path / "out").exists()


def files_below_toy(tmp_path):
    return [name for name in files_below(tmp_path) if name.startswith(("toy/", "cache/"))]


def as_an_ordinary_user():
    """What must stand before a command so that file permissions hold for it."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and setpriv is not there to change that")
    capabilities = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"]


def test_a_folder_without_permission(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(5000))
    (tmp_path / "locked").mkdir(mode=0o555)
    command = [*as_an_ordinary_user(), sys.executable, "-m", "unweave", "separate", song, "-p", toy_json]
    result = subprocess.run([*command, "-o", tmp_path / "locked"], capture_output=True, text=True)
    assert result.returncode == 1
    assert_one_line(result.stderr)
    assert "permission denied" in result.stderr
    assert files_below(tmp_path / "locked") == []


def test_a_folder_that_cannot_be_made(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(5000))
    (tmp_path / "file").write_text("in the way")
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "file")
    assert result.returncode == 1
    assert_one_line(result.stderr)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB; needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("codec", ["wav", "flac", "mp3", "ogg", "m4a", "opus"])
def test_a_full_disk(toy_json, tmp_path, small_disk, codec):
    song = write(tmp_path / "song.wav", noise(600_000, level=0.3))
    (small_disk / "filler").write_bytes(b"x" * 300_000)
    result = unweave("separate", song, "-p", toy_json, "-o", small_disk, "-c", codec, "-b", "320k")
    assert result.returncode == 1, result.stderr
    assert_one_line(result.stderr)
    assert "no space" in result.stderr.lower()
    assert files_below(small_disk) == ["filler"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])  # the last when a terminal is closed
def test_interrupted(tmp_path, separator, name):
    """With the real model: a segment takes its time there."""
    if not hasattr(signal, name):
        pytest.skip("this system has no such signal")
    song = write(tmp_path / "song.wav", noise(44_100 * 120))
    process = subprocess.Popen(
        [sys.executable, "-m", "unweave", "separate", song, "-o", tmp_path / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # When the first segment has been written, the next ones are being computed.
    while not any(path.stat().st_size > 100_000 for path in tmp_path.rglob("*.part")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130
    assert_one_line(stderr)
    assert files_below(tmp_path / "out") == []


def test_ctrl_break_of_windows_ends_a_run_in_good_order(monkeypatch, capsys):
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    monkeypatch.setattr(failures, "interrupted", threading.Event())
    with pytest.raises(SystemExit) as ended, failures_shown():
        signal.raise_signal(signal.SIGUSR1)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "unweave: error: interrupted; no partial file was left\n"
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no such signal")
def test_what_was_started_by_nohup_outlives_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with failures_shown():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with failures_shown():
            assert signal.getsignal(signal.SIGHUP) not in (signal.SIG_DFL, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    "arguments", [["separate", ""], ["separate", "song.wav", "-o", ""], ["remix", "", "-o", "x.wav"], ["train", ""]]
)
def test_a_variable_that_was_never_set_is_not_the_current_folder(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "song.wav", noise(100))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "expected a path, got nothing" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_options_as_people_write_them(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(9000))
    chosen = ["-c", "MP3", "-b", "320", "-q", "Best", "--clip", "Clamp", "--device", "CPU"]
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "out", *chosen)
    assert result.returncode == 0, result.stderr
    assert files_below(tmp_path / "out") == ["song/accompaniment.mp3", "song/vocals.mp3"]
    mix = tmp_path / "MIX.WAV"
    result = unweave("remix", song, "-p", toy_json, "-o", mix, "-q", "FAST", "--gain", "vocals=-6")
    assert result.returncode == 0, result.stderr
    assert read(mix).shape == (2, 9000)


def test_one_file_alone_is_noted_too(toy_json, tmp_path):
    """A short try, then the whole song."""
    song = write(tmp_path / "song.wav", tones(60_000))
    command = ["separate", song, "-p", toy_json, "-o", tmp_path / "out"]
    assert unweave(*command, "-d", 0.5).returncode == 0
    result = unweave(*command, "--skip_existing")
    assert result.stdout.count("wrote") == 2
    assert read(tmp_path / "out/song/vocals.wav").shape == (2, 60_000)
    assert unweave(*command, "--skip_existing").stdout.count("kept") == 2
    assert unweave(*command, "--skip_existing", "-q", "exact").stdout.count("wrote") == 2
    assert unweave(*command, "-q", "exact", "--skip_existing", cwd=tmp_path).stdout.count("kept") == 2


def test_a_stem_file_is_reported_once(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(9000))
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "out", "-c", "stem.mp4")
    assert result.stdout.splitlines() == [f"wrote {tmp_path}/out/song.stem.mp4"]


def test_projects_by_the_command(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(9000))
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "out", "-c", "RPP", "--tempo", 97)
    names = ("vocals.wav", "accompaniment.wav", "song.rpp")
    assert result.stdout.splitlines() == [f"wrote {tmp_path}/out/song/{name}" for name in names]
    assert "TEMPO 97 4 4" in (tmp_path / "out" / "song" / "song.rpp").read_text()
    project = tmp_path / "mix.dawproject"
    more = ["--gain", "vocals=-6", "--sensitivity", "vocals=0.7", "--bit_depth", "24"]
    result = unweave("remix", song, "-p", toy_json, "-o", project, *more)
    assert result.stdout.splitlines() == [str(project)]
    tracks, *_ = dawproject.read(project, tmp_path / "in")
    assert [round(track.gain, 3) for track in tracks] == [0.501, 1]
    result = unweave("remix", song, "-p", toy_json, "-o", project, "--sensitivity", "vocals=7")
    assert result.returncode == 2
    assert "expected a sensitivity from 0 to 1 for vocals, got 7" in result.stderr


CONSOLES = [
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "utf-8:strict"},
    {"PYTHONIOENCODING": "ascii:surrogateescape"},
    {"LC_ALL": "C.UTF-8"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not Unicode")
@pytest.mark.parametrize("console", CONSOLES, ids=lambda console: " ".join(console.values()))
def test_names_that_the_console_cannot_show(toy_json, tmp_path, console):
    folder = tmp_path / "in"
    write(folder / "plain.wav", tones(5000))
    names = [b"caf\xe9.wav", "絆.wav".encode(), b"plain.wav", b"a\nb.wav"]
    for name in names:
        shutil.copyfile(folder / "plain.wav", os.fsencode(folder) + b"/" + name) if name != b"plain.wav" else None
    (folder / os.fsdecode(b"broken \xff \xe7\xb5\x86.mp3")).write_text("no audio")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHONIO"))}
    command = [sys.executable, "-m", "unweave", "separate", folder, "-p", toy_json]
    for number, more in enumerate(([], ["--json"], ["--report", tmp_path / "report.csv"])):
        out = tmp_path / f"out{number}"
        result = subprocess.run([*command, "-o", out, *more], capture_output=True, env=environment | console)
        assert result.returncode == 1  # the broken one
        assert b"Traceback" not in result.stderr
        assert result.stderr.splitlines()[-1] == b"unweave: 1 of 5 files failed"
        stems = {os.fsencode(path.parent.name) + b".wav" for path in out.rglob("vocals.wav")}
        assert stems == set(names)
        if more == ["--json"]:
            events = [json.loads(line) for line in result.stdout.splitlines()]
            done = {event["file"] for event in events if event["event"] == "done"}
            assert {os.path.basename(os.fsencode(file)) for file in done} == set(names)
    assert len(list(csv.reader((tmp_path / "report.csv").read_text("utf-8").splitlines(keepends=True)))) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not Unicode")
def test_remix_prints_any_name(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(5000))
    mix = tmp_path / os.fsdecode(b"caf\xe9.wav")
    command = [sys.executable, "-m", "unweave", "remix", song, "-o", mix, "-p", toy_json]
    result = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"})
    assert result.returncode == 0, result.stderr
    assert mix.is_file()


@pytest.mark.parametrize("link", ["hard", "symbolic", "same"])
def test_remix_does_not_overwrite_its_song(toy_json, tmp_path, link):
    song = write(tmp_path / "song.wav", tones(5000))
    before, mix = song.read_bytes(), tmp_path / "mix.wav"
    if link == "same":
        mix = tmp_path / "." / "song.wav"
    else:
        (os.link if link == "hard" else os.symlink)(song, mix)
    result = unweave("remix", song, "-o", mix, "-p", toy_json)
    assert result.returncode == 2
    assert_one_line(result.stderr)
    assert song.read_bytes() == before


def test_a_closed_folder_is_one_files_outcome(toy_json, tmp_path):
    music = tmp_path / "music"
    write(music / "good.wav", tones(5000))
    write(music / "closed" / "song.wav", tones(5000))
    write(music / "forbidden.wav", tones(5000))
    (music / "forbidden.wav").chmod(0)
    (music / "closed").chmod(0)
    command = [*as_an_ordinary_user(), sys.executable, "-m", "unweave", "separate", music, "-p", toy_json, "-r"]
    try:
        for jobs in ("1", "2"):
            out = tmp_path / f"out{jobs}"
            result = subprocess.run([*command, "-o", out, "--jobs", jobs], capture_output=True, text=True)
            assert result.returncode == 1
            assert "Traceback" not in result.stderr
            assert result.stderr.splitlines()[-1] == "unweave: 2 of 3 files failed"
            assert files_below(out) == ["good/accompaniment.wav", "good/vocals.wav"]
        # And an output folder that nobody may look into.
        result = subprocess.run([*command, "-o", music / "closed" / "out"], capture_output=True, text=True)
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
    finally:
        (music / "closed").chmod(0o755)


def test_a_report_that_cannot_be_written_is_noticed_before_the_work(toy_json, tmp_path):
    song = write(tmp_path / "song.wav", tones(5000))
    (tmp_path / "taken.json").mkdir()
    result = unweave("separate", song, "-p", toy_json, "-o", tmp_path / "out", "--report", tmp_path / "taken.json")
    assert result.returncode == 1
    assert_one_line(result.stderr)
    assert not (tmp_path / "out").exists()


def test_a_bug_in_one_file_is_one_line_and_the_others_are_done(toy_json, tmp_path, monkeypatch):
    from unweave import Separator

    songs = [write(tmp_path / f"{name}.wav", tones(5000)) for name in ("bad", "good")]
    separate_file = Separator.separate_file

    def sometimes(self, source, *arguments, **options):
        if "bad" in str(source):
            raise ZeroDivisionError("division by zero")
        return separate_file(self, source, *arguments, **options)

    monkeypatch.setattr(Separator, "separate_file", sometimes)
    monkeypatch.setattr(logging.getLogger("unweave"), "handlers", [])
    for more, n_tracebacks in (([], 0), (["--verbose"], 1)):
        arguments = ["separate", *map(str, songs), "-p", str(toy_json), "-o", str(tmp_path / f"out{n_tracebacks}")]
        monkeypatch.setattr(logging.getLogger("unweave"), "handlers", [])
        result = CliRunner().invoke(app, [*arguments, *more])
        assert result.exit_code == 1
        assert result.output.count("ZeroDivisionError: division by zero") == 1 + n_tracebacks
        assert result.output.count("Traceback") == n_tracebacks
        assert "1 of 2 files failed" in result.output
        assert result.output.count("wrote") == 2


def test_an_audio_track_is_counted_from_one(toy_json, tmp_path, monkeypatch):
    from unweave.separation import batch

    given = []

    def record(separator, tasks, options, **more):
        given.append(options.track)
        return []

    monkeypatch.setattr(batch, "separate_files", record)
    song = str(write(tmp_path / "song.wav", tones(5000)))
    for arguments in ([], ["--track", "1"], ["--track", "3"]):
        assert CliRunner().invoke(app, ["separate", song, "-p", str(toy_json), *arguments]).exit_code == 0
    assert given == [None, 0, 2]
    assert CliRunner().invoke(app, ["separate", song, "--track", "0"]).exit_code == 2


def test_help_speaks_of_the_defaults():
    text = " ".join(unweave("separate", "--help").stdout.split())
    assert "[default: spleeter:2stems]" in text
    assert "unweave models list" in text
    assert "--track" in text


@pytest.mark.parametrize("arguments", [(), ("models",)])
def test_lists_of_commands_are_whole_sentences(arguments):
    text = unweave(*arguments, "--help", env=os.environ | {"COLUMNS": "80"}).stdout
    lines = text.partition("Commands:")[2].splitlines()
    assert len(lines) > 5
    assert [line for line in lines if line.endswith("...")] == []


def test_nothing_given():
    assert unweave("separate").returncode == 2
