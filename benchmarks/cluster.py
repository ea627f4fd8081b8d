"""Many short files through two nodes of two workers: what the cluster costs, and that nothing is lost when things die.

python -m benchmarks.cluster [--files 1000] [--limit 180]

The same files, of 0.2 s, go through `unweave separate` first; then through the cluster from folder to folder, from
bucket to bucket, and once more from bucket to bucket with a worker killed, a node killed and replaced, and one request
in twenty refused (503). All stems are compared with those of the first run, and the bucket keeps every version of every
object: there must be one of each stem, and nothing else. The model is a toy, so that what is measured is everything
around it.

Each run is a process of its own. One that takes longer than ``--limit`` seconds is stopped with all it has started, and
the others still run; then the table is printed and not put into docs/.
"""

import argparse
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from tests.audio.test_files import write
from tests.helpers.nodes import kill_worker, two_nodes
from tests.helpers.s3 import ENVIRONMENT
from tests.helpers.signals import tones
from tests.helpers.toys import write_toy

from benchmarks.measure import SCALE_PAGE, UNWEAVE, report, run
from unweave.cluster.places import Place
from unweave.cluster.run import run_on_ray
from unweave.cluster.worker import Work
from unweave.separation.output import OutputOptions

SONGS_PER_FOLDER = 50
SECONDS_TO_STOP = 60  # beyond the limit, until a run is killed
RUNS = {
    "folders": "the cluster, folder to folder",
    "buckets": "the cluster, bucket to bucket",
    "disturbed": "the same, with a killed worker, a killed node, 503s",
}
ROLES = ("workers", "driver", "Ray", "S3 server")
HEADINGS = (
    "",
    "wall s",
    "files a second",
    "files a second, second half",
    "overhead %, second half",
    *(f"cpu ms a file, {role}" for role in ROLES),
    "requests a file",
)


class Server:
    """moto's S3 in a process of its own."""

    def __init__(self, refuse_every):
        command = [sys.executable, "-m", "tests.helpers.s3", "songs,stems", str(refuse_every)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.communicate()

    def requests(self):
        """How many it has had, by method."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Counter(json.loads(self._process.stdout.readline()))


class ProcessorTimes:
    """Seconds of processor time of this process and of all below it, dead or alive, by role."""

    def __init__(self):
        self._seen = {}
        self._driver = psutil.Process()

    def look(self):
        """The seconds until now, by role."""
        for process in (self._driver, *self._driver.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                key = process.pid, process.create_time()
                self._seen[key] = self._role(process), times.user + times.system
        seconds = Counter()
        for role, each in self._seen.values():
            seconds[role] += each
        return seconds

    def _role(self, process):
        command = " ".join(process.cmdline())
        if process.pid == self._driver.pid:
            return "driver"
        if "ray::Worker" in command:
            return "workers"
        return "S3 server" if "tests.helpers.s3" in command else "Ray"


def run_cluster(kind, folder, limit):
    """One run in this process: what `row` needs."""
    expected = md5_of(folder / "out")
    n_files = len(expected) // 2
    is_disturbed = kind == "disturbed"
    with contextlib.ExitStack() as stack:
        server = None
        source, target = Place(str(folder / "in")), Place(str(folder / "cluster"))
        if kind != "folders":
            server = stack.enter_context(Server(20 if is_disturbed else 0))
            os.environ |= {**ENVIRONMENT, "AWS_ENDPOINT_URL": server.url}
            source, target = Place("s3://songs/in"), Place("s3://stems/out")
            system, root = source._filesystem
            system.call_s3("put_bucket_versioning", Bucket="stems", VersioningConfiguration={"Status": "Enabled"})
            for path in sorted((folder / "in").rglob("*.wav")):
                system.put_file(str(path), f"{root}/{path.relative_to(folder / 'in').as_posix()}")
        nodes = stack.enter_context(two_nodes(n_processors=2))
        times, marks, died, started = ProcessorTimes(), [], [], []
        seen = Counter()

        def note(result, summary):
            seen[result.name] += 1
            if result.error:
                print(result.name, result.error, file=sys.stderr, flush=True)
            elif summary.done in (n_files // 2, n_files):
                marks.append((time.monotonic(), times.look()))
            if is_disturbed and len(died) < 2 and summary.done >= n_files // 3 * (len(died) + 1):
                disturb()

        def disturb():
            if died:
                died.append(nodes.kill_one())
                nodes.add_one()
            else:
                times.look()
                died.append(kill_worker(started[0]))

        before = server.requests() if server else Counter()
        deadline = time.monotonic() + limit
        work = Work(source, target, str(folder / "toy.json"), OutputOptions(), None, {"threads": 1})
        summary = run_on_ray(
            work,
            address=nodes.address,
            on_result=note,
            on_start=started.append,
            should_stop=lambda: time.monotonic() > deadline,
        )
        requests = (server.requests() if server else Counter()) - before
        assert summary.done == n_files, f"{summary.done} of {n_files} songs in {limit} s"
        assert set(seen.values()) == {1}, "a song has two results"
        if server:
            versions = [each for each in versions_in(system, "stems") if not each[0].startswith("out/!")]
            assert len(versions) == len(expected), f"{len(versions)} versions of {len(expected)} stems"
            found = {name.removeprefix("out/"): checksum for name, checksum in versions}
        else:
            found = md5_of(folder / "cluster")
        assert found == expected, f"{len(found)} stems of {len(expected)}, or others"
        assert len(died) == 2 * is_disturbed
    (half, cpu_then), (end, cpu_now) = marks
    n_second = n_files - n_files // 2
    return {
        "seconds": summary.seconds,
        "rate": n_second / (end - half),
        "cpu": {role: (cpu_now[role] - cpu_then[role]) / n_second for role in ROLES},
        "requests": {method: count / n_files for method, count in requests.items()},
    }


def versions_in(system, bucket):
    """Name and checksum of every version of every object; a mark that says that one was deleted has no checksum."""
    request = {"Bucket": bucket}
    while True:
        page = system.call_s3("list_object_versions", **request)
        for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            yield each["Key"], each.get("ETag", "").strip('"')
        if not page["IsTruncated"]:
            return
        request |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


def md5_of(folder):
    """The checksum of every stem below ``folder``, by its name there; S3 calls it ETag."""
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        for path in folder.rglob("*.wav")
    }


def run_plain(folder):
    """The same as `run_cluster` has it, by ``unweave separate`` and without the time it needs to start."""
    model = write_toy(folder)
    command = [*UNWEAVE, "separate", folder / "in", "-r", "-p", model, "-o", folder / "out", "--jobs", 2]
    first, again = run(command), run([*command, "--skip_existing"])
    n_files = len(list((folder / "in").rglob("*.wav")))
    assert len(md5_of(folder / "out")) == 2 * n_files
    seconds = first.wall_seconds - again.wall_seconds
    cpu = {"workers": (first.cpu_seconds - again.cpu_seconds) / n_files}
    return {"seconds": seconds, "rate": n_files / seconds, "cpu": cpu, "requests": {}}


def row(title, n_files, found, plain):
    """A row of the table; the overhead is over ``plain``."""
    requests = ", ".join(f"{count:.2f} {method}" for method, count in sorted(found["requests"].items()))
    return (
        title,
        f"{found['seconds']:.1f}",
        f"{n_files / found['seconds']:.1f}",
        f"{found['rate']:.1f}",
        f"{100 * (plain['rate'] / found['rate'] - 1):.0f}",
        *(f"{1000 * found['cpu'][role]:.0f}" if role in found["cpu"] else "" for role in ROLES),
        requests,
    )


def run_apart(kind, folder, limit):
    """`run_cluster` in a process of its own; None where it fails or takes too long, and then nothing of it is left."""
    command = [sys.executable, "-m", "benchmarks.cluster", "--one", kind, "--folder", folder, "--limit", limit]
    log = folder / f"{kind}.log"
    with (
        log.open("w") as file,
        subprocess.Popen([str(part) for part in command], stdout=file, stderr=file, start_new_session=True) as process,
    ):
        try:
            process.wait(limit + SECONDS_TO_STOP)
        except subprocess.TimeoutExpired as error:
            print(f"{RUNS[kind]}: killed after {error.timeout} s", file=sys.stderr)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode == 0:
        return json.loads((folder / f"{kind}.json").read_text())
    print(*log.read_text().splitlines()[-20:], sep="\n", file=sys.stderr)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--limit", type=int, default=180, help="seconds for each run")
    parser.add_argument("--one", help=argparse.SUPPRESS, choices=RUNS)
    parser.add_argument("--folder", help=argparse.SUPPRESS, type=Path)
    arguments = parser.parse_args()
    if arguments.one:
        found = run_cluster(arguments.one, arguments.folder, arguments.limit)
        (arguments.folder / f"{arguments.one}.json").write_text(json.dumps(found))
        return
    signal.signal(signal.SIGTERM, lambda *arguments: sys.exit(143))  # so that nothing is left then, either
    with tempfile.TemporaryDirectory() as temporary:
        folder, n_files = Path(temporary), arguments.files
        os.environ["UNWEAVE_CACHE"] = str(folder / "cache")
        for number in range(n_files):
            path = folder / "in" / f"{number // SONGS_PER_FOLDER:04}" / f"{number:05}.wav"
            write(path, tones(9000)[:, : 9000 - number % 500])
        plain = run_plain(folder)
        rows = [row("`unweave separate --jobs 2`, folder to folder", n_files, plain, plain)]
        print(*rows[-1], sep=" | ", flush=True)
        for kind, title in RUNS.items():
            started = time.monotonic()
            found = run_apart(kind, folder, arguments.limit)
            rows.append(row(title, n_files, found, plain) if found else (title, "did not finish"))
            print(*rows[-1], f"{time.monotonic() - started:.0f} s with all around it", sep=" | ", flush=True)
    if any(len(each) < len(HEADINGS) for each in rows):
        raise SystemExit("some runs did not finish; docs/ is left as it is")
    report("cluster", [(f"{n_files} files of 0.2 s, toy model, 2 cores", HEADINGS, rows)], SCALE_PAGE)


if __name__ == "__main__":
    main()
