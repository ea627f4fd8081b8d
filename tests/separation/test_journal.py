"""Runs over many files remember what they have done."""

import csv
import json
import os
import subprocess
import sys

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import tones
from unweave import OptionError
from unweave.audio.encode import _own_prefix
from unweave.errors import AudioReadError
from unweave.separation.batch import BatchOptions, find_tasks, separate_files
from unweave.separation.journal import FILE, Journal, settings_of
from unweave.separation.outcome import Outcome
from unweave.separation.report import write_report


@pytest.fixture
def songs(tmp_path):
    for name in ("a", "b", "c"):
        write(tmp_path / "in" / f"{name}.wav", tones(9000))
    return tmp_path / "in"


def run(toy, songs, out, **settings):
    options = BatchOptions(skip_existing=True)
    journal = Journal(out, settings_of(options, model="toy", **settings))
    outcomes = separate_files(toy, find_tasks([songs], out), options, journal=journal)
    return [outcome.status for outcome in outcomes]


def test_only_what_is_missing_is_done(toy, songs, tmp_path):
    out = tmp_path / "out"
    assert run(toy, songs, out) == ["done"] * 3
    assert run(toy, songs, out) == ["skipped"] * 3
    (out / "b" / "vocals.wav").unlink()
    assert run(toy, songs, out) == ["skipped", "skipped", "done"]


def test_changed_songs_and_settings_are_done_again(toy, songs, tmp_path):
    out = tmp_path / "out"
    run(toy, songs, out)
    write(songs / "a.wav", tones(5000))
    assert sorted(run(toy, songs, out)) == ["done", "skipped", "skipped"]
    assert run(toy, songs, out, quality="best") == ["done"] * 3
    assert run(toy, songs, out, quality="best") == ["skipped"] * 3


def test_a_line_that_was_cut_off_counts_as_none(toy, songs, tmp_path):
    out = tmp_path / "out"
    run(toy, songs, out)
    path = out / FILE
    raw = path.read_bytes()
    path.write_bytes(raw[:-20])
    (out / "c" / "vocals.wav").unlink()
    assert sorted(run(toy, songs, out)) == ["done", "skipped", "skipped"]
    lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
    assert len({json.loads(line)["file"] for line in lines}) == 3


def test_jobs_do_not_change_what_is_skipped():
    one, two = (settings_of(BatchOptions(jobs=jobs, skip_existing=jobs > 1)) for jobs in (1, 2))
    assert one == two
    assert settings_of(BatchOptions(offset_seconds=1.0)) != one


def test_orphans_of_killed_processes_are_removed_and_those_of_others_stay(toy, songs, tmp_path):
    out = tmp_path / "out" / "a"
    out.mkdir(parents=True)
    killed = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = out / f"{_own_prefix()}{int(killed.stdout)}-x.part"
    alive = out / f"{_own_prefix()}{os.getppid()}-x.part"
    foreign = out / ".unweave-elsewhere-1-x.part"
    for path in (dead, alive, foreign):
        path.write_bytes(b"half")
    run(toy, songs, tmp_path / "out")
    assert [path.exists() for path in (dead, alive, foreign)] == [False, True, True]


@pytest.mark.parametrize("extension", ["json", "csv"])
def test_the_report(tmp_path, extension):
    outcomes = [
        Outcome(tmp_path / "a.wav", "done", {"vocals": tmp_path / "a" / "vocals.wav"}),
        Outcome(tmp_path / "b.wav", "failed", error=AudioReadError("there is no audio in it")),
    ]
    path = tmp_path / "reports" / f"run.{extension}"
    write_report(outcomes, path)
    rows = json.loads(path.read_text()) if extension == "json" else list(csv.DictReader(path.read_text().splitlines()))
    assert [row["status"] for row in rows] == ["done", "failed"]
    assert rows[1]["error"] == "there is no audio in it"
    assert "vocals.wav" in str(rows[0]["stems"])


def test_a_report_of_another_kind(tmp_path):
    with pytest.raises(OptionError, match=r"\.json or \.csv"):
        write_report([], tmp_path / "run.txt")
