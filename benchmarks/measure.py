"""Whole processes, timed from outside: wall time, processor time, and peak memory by the system's own account."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from unweave import AudioWriter
from unweave.audio.formats import find_format
from unweave.families.unet.files import export_safetensors
from unweave.families.unet.path import load_unets
from unweave.models.catalogue.official import find_spec
from unweave.models.hub import ensure_weights

UNWEAVE = [sys.executable, "-m", "unweave"]
SAMPLE_RATE = 44100
PERFORMANCE_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
QUALITY_PAGE = PERFORMANCE_PAGE.with_name("quality.md")
SCALE_PAGE = PERFORMANCE_PAGE.with_name("scale.md")


@dataclass(frozen=True)
class Run:
    """One finished process."""

    wall_seconds: float
    cpu_seconds: float
    peak_megabytes: float  # of the largest single process, 10^6 bytes


# A process's peak begins with the size of the one that started it, so a small one does that.
WATCHER = """
import json, os, sys, time
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
started = time.perf_counter()
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, usage = os.wait4(process, 0)
wall = time.perf_counter() - started
peak = usage.ru_maxrss * 1024 / 1e6
print(json.dumps([os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime, peak]))
"""


def run(command, **environment):
    """Run ``command`` to its end; a failure is an error. Compiled modules are kept, as in any installation."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    watched = [sys.executable, "-I", "-S", "-c", WATCHER, *map(str, command)]
    done = subprocess.run(watched, env={**kept, **environment}, capture_output=True, check=True)
    status, *figures = json.loads(done.stdout)
    if status != 0:
        raise SystemExit(f"{command[0]} failed with {status}:\n{done.stderr.decode()[-2000:]}")
    return Run(*figures)


def four_stems_for_the_clock(folder: Path):
    """A model of the official four-stem layout: the weights of two stems, twice, where 4stems cannot be reached.

    It takes as long as the real one, and does not separate four stems.
    """
    path = folder / "four-stems-for-the-clock.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        two = load_unets(find_spec("spleeter:2stems"), ensure_weights("2stems"))
        export_safetensors([*two, *two], dataclasses.replace(find_spec("spleeter:4stems"), name="four"), path)
    return path


def median(values):
    """The median, as a float."""
    return float(statistics.median(values))


def write_song(path: Path, seconds: float, seed: int = 0):
    """A stereo file of chords, beats and a gliding voice: as hard to separate as any, for a clock."""
    random = np.random.default_rng(seed)
    notes = random.choice([55, 65.4, 73.4, 82.4, 98, 110], 4)
    options = {"sample_rate": SAMPLE_RATE, "n_channels": 2}
    path.parent.mkdir(parents=True, exist_ok=True)
    with AudioWriter(path, find_format(path.suffix[1:]), **options) as writer:
        for start in range(0, round(seconds * SAMPLE_RATE), SAMPLE_RATE * 10):
            stop = min(start + SAMPLE_RATE * 10, round(seconds * SAMPLE_RATE))
            t = np.arange(start, stop) / SAMPLE_RATE
            chord = sum(np.sin(2 * np.pi * note * k * t) / k for note in notes for k in (1, 2, 3, 4))
            voice = np.sin(2 * np.pi * 330 * t + 8 * np.sin(2 * np.pi * 0.4 * t)) * (np.sin(2 * np.pi * 0.2 * t) > 0)
            beat = np.exp(-np.mod(t, 0.5) * 30) * random.standard_normal(len(t))
            stereo = [0.05 * chord + 0.15 * voice + 0.2 * beat, 0.04 * chord + 0.15 * voice + 0.25 * beat]
            writer.write(np.asarray(stereo, np.float32))
        writer.finish()
        writer.commit()
    return path


def report(name, tables, page=PERFORMANCE_PAGE):
    """Print tables (title, headings, rows) in Markdown, and put them into a page of docs/ in place of the last ones.

    The page has a place for each benchmark, between ``<!-- NAME -->`` and ``<!-- end of NAME -->``.
    """
    text = "\n\n".join(_table(*table) for table in tables)
    print(f"\n{text}", flush=True)
    before, opening, rest = page.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    _, closing, after = rest.partition(f"<!-- end of {name} -->")
    if not opening or not closing:
        raise SystemExit(f"{page} has no place for {name}")
    page.write_text(f"{before}{opening}{text}\n{closing}{after}", encoding="utf-8")


def _table(title, headings, rows):
    lines = [f"{title} ({date.today()})", "", "| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])
