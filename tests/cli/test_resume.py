"""A folder run that is killed again and again ends with the same bytes as one that is not."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

from tests.audio.test_files import write
from tests.helpers.signals import tones

N_KILLS = 20
N_RUNS = 200  # at most, for so many kills
N_SONGS = 40


def command(toy_json, songs, out):
    return [sys.executable, "-m", "unweave", "separate", songs, "-p", toy_json, "-o", out, "--recursive",
            "--skip_existing", "--jobs", "2", "--report", out / "report.json"]  # fmt: skip


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.wav"))}


def test_twenty_kills_leave_no_trace(toy_json, tmp_path):
    songs = tmp_path / "in"
    for number in range(N_SONGS):
        write(songs / f"disc {number % 3}" / f"{number}.wav", tones(60_000 + 1000 * number))
    unbroken = tmp_path / "unbroken"
    subprocess.run(command(toy_json, songs, unbroken), check=True, capture_output=True)
    out, chance = tmp_path / "out", random.Random(5)
    n_killed = 0
    for _ in range(N_RUNS):
        process = subprocess.Popen(command(toy_json, songs, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        n_before = len(files(out))
        while process.poll() is None and len(list(out.rglob("*.part"))) == 0 and len(files(out)) == n_before:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.1))  # somewhere in the first or second song, its writing or its renaming
        process.send_signal(signal.SIGKILL)
        n_killed += process.wait() == -signal.SIGKILL
        if n_killed == N_KILLS:
            break
        if process.returncode == 0:  # it was quicker, and there is nothing left to kill
            shutil.rmtree(out)
    assert n_killed == N_KILLS
    assert set(files(out)) <= set(files(unbroken))
    for name, raw in files(out).items():  # whatever is there is whole
        assert raw == files(unbroken)[name]
    subprocess.run(command(toy_json, songs, out), check=True, capture_output=True)
    assert files(out) == files(unbroken)
    assert len(files(out)) == 2 * N_SONGS
    assert not [path for path in out.rglob("*") if path.name.endswith(".part")]
    assert os.path.getsize(out / "report.json") > 100
