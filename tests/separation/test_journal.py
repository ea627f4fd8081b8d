"""Runs over many files remember what they have done."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.audio.test_files import write
from tests.helpers.signals import tones
from unweave import OptionError
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import find_format
from unweave.errors import AudioReadError, AudioWriteError
from unweave.separation.batch import BatchOptions, find_tasks, separate_files
from unweave.separation.journal import (
    FILE,
    Entry,
    Journal,
    append_entry,
    is_done,
    is_same_time,
    latest_by_stem,
    parse_lines,
    read_journal,
    settings_of,
)
from unweave.separation.outcome import Outcome
from unweave.separation.output import OutputOptions
from unweave.separation.report import append_line, check_lines, check_report, write_report


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


def statuses(toy, sources, out, journal=None, **options):
    """What a run over ``sources`` makes of each, by name."""
    chosen = BatchOptions(skip_existing=True, **options)
    journal = Journal(out, settings_of(chosen, model="toy")) if journal is None else journal
    outcomes = separate_files(toy, find_tasks(sources, out, recursive=True), chosen, journal=journal)
    return {outcome.source.name: outcome.status for outcome in outcomes}


def test_a_song_is_the_same_by_any_path(toy, songs, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    assert statuses(toy, [Path("in/a.wav")], Path("out")) == {"a.wav": "done"}
    for source in (songs / "a.wav", Path("in/../in/a.wav"), Path("./in/a.wav")):
        assert statuses(toy, [source], out) == {"a.wav": "skipped"}
        assert statuses(toy, [source], out, duration_seconds=0.05) == {"a.wav": "done"}
        assert statuses(toy, [source], Path("out/../out"), duration_seconds=0.05) == {"a.wav": "skipped"}
        assert statuses(toy, [source], out) == {"a.wav": "done"}


def test_stems_of_another_song_are_not_kept(toy, songs, tmp_path, caplog):
    """Another album's, of the same name, length and time."""
    out = tmp_path / "out"
    other = tmp_path / "two" / "a.wav"
    write(other, tones(9000)[::-1])
    times = (songs / "a.wav").stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "done"}
    assert caplog.text == ""
    assert statuses(toy, [other], out) == {"a.wav": "done"}
    assert f"{other}: its stems replace those of {songs / 'a.wav'}" in caplog.text
    assert statuses(toy, [other], out) == {"a.wav": "skipped"}
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "done"}


def test_stems_that_no_record_speaks_of_are_not_kept(toy, songs, tmp_path):
    out = tmp_path / "out"
    for stem in ("vocals", "accompaniment"):
        (out / "a").mkdir(parents=True, exist_ok=True)
        (out / "a" / f"{stem}.wav").touch()
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "done"}
    assert (out / "a" / "vocals.wav").stat().st_size > 9000


@pytest.mark.parametrize("damage", ["empty", "cut", "older", "newer", "a moment later", "folder"])
def test_stems_that_were_changed_are_not_kept(toy, songs, tmp_path, damage):
    out = tmp_path / "out"
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "done"}
    stem = out / "a" / "vocals.wav"
    whole = stem.read_bytes()
    if damage == "empty":
        stem.write_bytes(b"")
    elif damage == "cut":
        stem.write_bytes(whole[:-2])
    elif damage == "folder":
        stem.unlink()
        stem.mkdir()
        assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "failed"}
        stem.rmdir()
    else:  # the same size, written at another time: by who knows whom
        seconds = {"older": -60.0, "newer": 60.0, "a moment later": 0.004321}[damage]
        written = stem.stat().st_mtime_ns + int(seconds * 1e9) | 1
        os.utime(stem, ns=(written, written))
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "done"}
    assert stem.read_bytes() == whole
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "skipped"}


@pytest.mark.parametrize("step", [2_000_000_000, 1_000_000_000, 10_000_000, 100])
def test_stems_that_were_copied_to_a_coarse_clock_are_kept(toy, songs, tmp_path, step):
    out = tmp_path / "out"
    statuses(toy, [songs / "a.wav"], out)
    for stem in (out / "a").iterdir():
        written = stem.stat().st_mtime_ns // step * step
        os.utime(stem, ns=(written, written))
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "skipped"}


def test_some_stems_of_a_whole_run(toy, songs, tmp_path):
    out = tmp_path / "out"
    statuses(toy, [songs / "a.wav"], out)
    assert statuses(toy, [songs / "a.wav"], out, stems=("vocals",)) == {"a.wav": "done"}
    # The accompaniment is of the first run, the vocals of the second: together they are of no run.
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "done"}


def test_a_song_that_changes_while_it_is_separated_is_done_again(toy, songs, tmp_path, monkeypatch):
    out, separate_file = tmp_path / "out", toy.separate_file

    def slow(source, *arguments, **options):
        paths = separate_file(source, *arguments, **options)
        write(songs / "a.wav", tones(5000))
        return paths

    with monkeypatch.context() as patch:
        patch.setattr(toy, "separate_file", slow)
        assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "done"}
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "done"}
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "skipped"}


def test_a_journal_that_cannot_be_written_loses_no_stems(toy, songs, tmp_path, caplog):
    out = tmp_path / "out"
    (out / FILE).mkdir(parents=True)
    assert statuses(toy, [songs / "a.wav"], out) == {"a.wav": "done"}
    assert (out / "a" / "vocals.wav").is_file()
    assert "will separate it again" in caplog.text


def test_lines_of_other_versions_and_damaged_ones_count_as_none(tmp_path):
    lines = [
        '{"file": "a.wav", "bytes": 1, "changed_ns": 2, "settings": "x"}',
        "[]",
        "null",
        '{"stems": 3, "settings": "x"}',
        '{"stems": {"a": [1]}, "settings": "x"}',
        '{"stems": {"a": ["x", 1]}, "settings": "x"}',
        '{"stems": {"a": [1, 2]}}',
        "\udce9 no JSON".encode("utf-8", "surrogateescape").decode("latin-1"),
        '{"file": "caf\\udce9.wav", "stems": {"caf\\udce9/vocals.wav": [1, 2]}, "settings": "x"}',
    ]
    (entry,) = parse_lines("\n".join(lines).encode())
    assert entry.source == {"file": "caf\udce9.wav"}
    assert list(parse_lines(entry.line().encode())) == [entry]


def test_every_entry_is_a_line_of_its_own(tmp_path):
    path = tmp_path / "new" / FILE
    entries = [Entry({"file": name, "bytes": 1, "changed_ns": 2}, "x", {name: (3, 4)}) for name in "abc"]
    append_entry(path, entries[0])
    append_entry(path, entries[1])
    assert path.read_bytes() == (entries[0].line() + entries[1].line()).encode()
    assert list(read_journal(path.parent)) == entries[:2]
    path.write_bytes(path.read_bytes()[:-1])  # cut off just before its end
    append_entry(path, entries[2])
    assert path.read_bytes() == "".join(entry.line() for entry in entries).encode()
    (path.parent / "other").mkdir()
    (path.parent / "other" / FILE).write_bytes(b"")
    append_entry(path.parent / "other" / FILE, entries[0])
    assert (path.parent / "other" / FILE).read_bytes() == entries[0].line().encode()


def test_the_latest_entry_of_each_stem_decides():
    first = Entry({"file": "a"}, "x", {"v": (1, 1), "d": (2, 2)})
    second = Entry({"file": "a"}, "y", {"v": (3, 3)})
    latest = latest_by_stem([first, second])
    assert latest == {"v": second, "d": first}
    assert is_done(latest, {"file": "a"}, "y", {"v": (3, 3)})
    assert is_done(latest, {"file": "a"}, "x", {"d": (2, 2)})
    assert is_done(latest, {"file": "a"}, "x", {})
    for settings, stems in (
        ("y", {"v": (3, 3), "d": (2, 2)}),
        ("x", {"v": (3, 3)}),
        ("y", {"v": (4, 3)}),
        ("y", {"v": (3, 4)}),
        ("y", {"v": None}),
        ("y", {"v": (3, 3), "b": (1, 1)}),
    ):
        assert not is_done(latest, {"file": "a"}, settings, stems)
    assert not is_done(latest, {"file": "b"}, "y", {"v": (3, 3)})


@pytest.mark.parametrize(
    ("now", "written", "expected"),
    [
        (123_456_789, 123_456_789, True),
        (123_456_789, 123_456_788, False),
        (123_456_700, 123_456_789, True),  # NTFS: steps of 100 ns
        (123_456_700, 123_456_801, False),
        (120_000_000, 129_999_999, True),  # exFAT: of 10 ms
        (120_000_000, 130_000_001, False),
        (4_000_000_000, 5_999_999_999, True),  # FAT: of 2 s
        (4_000_000_000, 2_000_000_000, True),
        (4_000_000_000, 6_000_000_001, False),
    ],
)
def test_times_on_coarse_clocks(now, written, expected):
    assert is_same_time(written, now) is expected


def test_another_model_of_the_same_name_is_another_model(tmp_path, toy_json, cache):
    from unweave import Separator
    from unweave.separation.model_state import model_state

    Separator(str(toy_json))
    before = model_state(str(toy_json))
    assert model_state(str(toy_json)) == before
    assert model_state("spleeter:2stems") == model_state("2stems") == ((1.0, "spleeter:2stems"),)
    assert model_state(f"spleeter:2stems*2+{toy_json}")[1:] == before
    (data,) = toy_json.parent.rglob("*.data*")
    os.utime(data, ns=(1, 1))
    assert model_state(str(toy_json)) != before


def test_jobs_do_not_change_what_is_skipped():
    one, two = (settings_of(BatchOptions(jobs=jobs, skip_existing=jobs > 1)) for jobs in (1, 2))
    assert one == two
    assert settings_of(BatchOptions(offset_seconds=1.0)) != one


KILLED = """
import os, sys
from pathlib import Path
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import find_format
writer = AudioWriter(Path(sys.argv[1]), find_format("wav"), sample_rate=44100, n_channels=2)
print(writer.temporary, flush=True)
os._exit(1)
"""


def test_orphans_of_killed_processes_are_removed_and_those_of_others_stay(toy, songs, tmp_path):
    out = tmp_path / "out" / "a"
    killed = subprocess.run([sys.executable, "-c", KILLED, out / "x.wav"], capture_output=True, text=True)
    dead, foreign = Path(killed.stdout.strip()), out / ".unweave-elsewhere-1-x.part"
    foreign.write_bytes(b"half")
    with AudioWriter(out / "y.wav", find_format("wav"), sample_rate=44100, n_channels=2) as writer:
        alive = writer.temporary
        assert dead.exists()
        run(toy, songs, tmp_path / "out")
        assert [path.exists() for path in (dead, alive, foreign)] == [False, True, True]


@pytest.mark.parametrize("extension", ["json", "csv"])
def test_the_report(tmp_path, extension):
    outcomes = [
        Outcome(tmp_path / "a.wav", "done", {name: tmp_path / "a" / f"{name}.wav" for name in ("vocals", "bass")}),
        Outcome(tmp_path / "b.wav", "failed", error=AudioReadError("there is no audio in it")),
    ]
    path = tmp_path / "reports" / f"run.{extension}"
    write_report(outcomes, path)
    rows = json.loads(path.read_text()) if extension == "json" else list(csv.DictReader(path.read_text().splitlines()))
    paths = {name: str(tmp_path / "a" / f"{name}.wav") for name in ("vocals", "bass")}
    stems = [paths, {}] if extension == "json" else [" ".join(paths.values()), ""]
    assert rows == [
        {"file": str(tmp_path / "a.wav"), "status": "done", "error": "", "stems": stems[0]},
        {"file": str(tmp_path / "b.wav"), "status": "failed", "error": "there is no audio in it", "stems": stems[1]},
    ]


@pytest.mark.parametrize("extension", ["json", "csv", "JSON", "Csv"])
def test_a_report_of_names_that_are_not_unicode(tmp_path, extension):
    outcomes = [Outcome(Path("caf\udce9.mp3"), "done", {"vocals": Path("絆.wav")})]
    path = tmp_path / f"report.{extension}"
    path.write_text("an older one")
    write_report(outcomes, path)
    text = path.read_text(encoding="utf-8")
    if extension.lower() == "json":
        assert json.loads(text)[0]["file"] == "caf\udce9.mp3"
    else:
        assert "caf\\udce9.mp3" in text
        assert "絆.wav" in text
    assert os.listdir(tmp_path) == [path.name]


def test_a_stem_file_stands_once_in_the_report(tmp_path):
    path = tmp_path / "report.csv"
    write_report([Outcome(Path("a.mp3"), "done", dict.fromkeys(("vocals", "bass"), Path("a.stem.mp4")))], path)
    assert path.read_text().count("a.stem.mp4") == 1


def test_a_report_that_cannot_be_written(tmp_path, monkeypatch):
    for name, looking in (("exists", os.path.exists), ("is_dir", os.path.isdir)):
        monkeypatch.setattr(Path, name, looking)  # which since Python 3.14 raise nothing
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    for path in (tmp_path / "file" / "x.json", tmp_path / "folder.json", tmp_path / ("x" * 300 + ".csv")):
        with pytest.raises(AudioWriteError, match="cannot write"):
            check_report(path)


def test_a_report_of_another_kind(tmp_path):
    with pytest.raises(OptionError, match=r"\.json or \.csv"):
        write_report([], tmp_path / "run.txt")


def test_a_report_that_grows_spoils_no_other_file(tmp_path):
    song = write(tmp_path / "song.wav", tones(100))
    with pytest.raises(OptionError, match="JSON lines"):
        check_lines(song)
    with pytest.raises(AudioWriteError, match="folder"):
        check_lines(tmp_path)
    report = tmp_path / "new" / "report.jsonl"
    for number in range(2):
        check_lines(report)
        append_line(report, json.dumps({"number": number}))
    assert [json.loads(line)["number"] for line in report.read_text().splitlines()] == [0, 1]


@pytest.mark.parametrize(
    "line",
    [
        '{"stems": {"a/vocals.wav": [Infinity, 1]}, "settings": ""}',
        '{"stems": {"a/vocals.wav": [1]}, "settings": ""}',
        '{"stems": {"a/vocals.wav": ["x", null]}, "settings": ""}',
        '{"stems": 5, "settings": ""}',
        "[" * 100_000,
        "9" * 10_000,
        "\udcff\x00",
    ],
    ids=range(7),
)
def test_damaged_lines_count_as_none(toy, songs, tmp_path, line):
    out = tmp_path / "out"
    assert run(toy, songs, out) == ["done"] * 3
    with (out / FILE).open("ab") as file:
        file.write(line.encode("utf-8", "surrogateescape") + b"\n")
    assert run(toy, songs, out) == ["skipped"] * 3


def test_a_template_that_fits_no_song_is_refused_once(toy, songs, tmp_path):
    options = BatchOptions(OutputOptions(filename_format="{filename}.wav"))
    with pytest.raises(OptionError, match="several stems the same path"):
        separate_files(toy, find_tasks([songs], tmp_path / "out"), options)
