"""Many short files from a bucket to a bucket on two nodes of two workers, while nearly everything dies or refuses.

python -m benchmarks.cluster [--files 1000]

The same files, of 0.2 s, go through `unweave separate` first. Then once through the cluster undisturbed, and once with
a worker killed, a node killed and replaced, and one request in twenty refused (503). All stems are compared byte for
byte. The model is a toy, so that what is measured is everything around it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import s3fs
from tests.audio.test_files import write
from tests.helpers.nodes import kill_worker, two_nodes
from tests.helpers.s3 import ENVIRONMENT
from tests.helpers.signals import tones
from tests.helpers.toys import write_toy

from benchmarks.measure import SCALE_PAGE, UNWEAVE, report
from unweave.cluster.places import Place
from unweave.cluster.run import run_on_ray
from unweave.cluster.worker import Work
from unweave.separation.output import OutputOptions

SONGS_PER_FOLDER = 50


class Server:
    """moto's S3 in a process of its own, with its processor time."""

    def __init__(self, refuse_every):
        command = [sys.executable, "-m", "tests.helpers.s3", "songs,stems", str(refuse_every)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()

    def close(self):
        """End it; returns the number of requests and the seconds of processor time."""
        self._process.stdin.close()
        n_requests = int(self._process.stdout.read())
        _, _, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = 0
        return n_requests, usage.ru_utime + usage.ru_stime


def run_cluster(songs, expected, model, *, n_failing):
    """One run from bucket to bucket; a table's row."""
    server = Server(20 if n_failing else 0)
    os.environ.update({**ENVIRONMENT, "AWS_ENDPOINT_URL": server.url})
    s3fs.S3FileSystem.clear_instance_cache()  # which knows the server before
    source, target = Place("s3://songs/in"), Place("s3://stems/out")
    system, root = source._filesystem
    for name, path in songs.items():
        system.put_file(str(path), f"{root}/{name}")
    seen, died, started = [], [], []

    def disturb(result, summary):
        seen.append(result)
        if len(died) == n_failing or len(seen) < len(songs) // 3 * (len(died) + 1):
            return
        if died:
            died.append(nodes.kill_one())
            nodes.add_one()
            return
        (actors,) = started
        died.append(kill_worker(actors))

    work = Work(source, target, str(model), OutputOptions(), None, {"threads": 1})
    with two_nodes(n_processors=2) as nodes:
        summary = run_on_ray(work, address=nodes.address, on_result=disturb, on_start=started.append)
    found = {name: target.read(name) for name, _ in target.files() if not name.startswith("!")}
    names = [result.name for result in seen if not result.error]
    assert sorted(names) == sorted(songs), f"{len(names)} results, {len(set(names))} of them different"
    assert found == expected, f"{len(found)} stems of {len(expected)}"
    assert len(died) == n_failing
    n_requests, server_cpu = server.close()
    title = "the cluster, with a killed worker, a killed node, 503s" if n_failing else "the cluster, undisturbed"
    return title, summary.seconds, server_cpu, n_requests


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    arguments = parser.parse_args()
    n_files = arguments.files
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["UNWEAVE_CACHE"] = str(folder / "cache")
        (folder / "toy").mkdir()
        model = write_toy(folder / "toy")
        songs = {}
        for number in range(n_files):
            name = f"{number // SONGS_PER_FOLDER:04}/{number:05}.wav"
            songs[name] = write(folder / "in" / name, tones(9000)[:, : 9000 - number % 500])
        command = [*UNWEAVE, "separate", folder / "in", "-r", "-p", model, "-o", folder / "out", "--jobs", 2]
        plain = []
        for each in (songs, {}):  # once with the files, and once more to know what starting costs
            started = time.perf_counter()
            subprocess.run(
                [*map(str, command), *([] if each else ["--skip_existing"])], check=True, capture_output=True
            )
            plain.append(time.perf_counter() - started)
        seconds = plain[0] - plain[1]
        expected = {
            path.relative_to(folder / "out").as_posix(): path.read_bytes() for path in (folder / "out").rglob("*.wav")
        }
        assert len(expected) == 2 * n_files
        rows = [("`unweave separate --jobs 2`, folder to folder", seconds, 0.0, 0)]
        for n_failing in (0, 2):
            rows.append(run_cluster(songs, expected, model, n_failing=n_failing))
    table = [
        (
            title,
            f"{wall:.1f}",
            f"{n_files / wall:.1f}",
            f"{1000 * (wall - seconds) / n_files:.0f}",
            f"{100 * (wall / seconds - 1):.0f}",
            f"{cpu:.1f}",
            n_requests,
        )
        for title, wall, cpu, n_requests in rows
    ]
    headings = ("", "wall s", "files a second", "more ms per file", "overhead %", "cpu s of the S3 server", "requests")
    report("cluster", [(f"{n_files} files of 0.2 s, toy model, 2 cores", headings, table)], SCALE_PAGE)


if __name__ == "__main__":
    main()
