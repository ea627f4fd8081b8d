"""Every family at a published full size, with random weights: ours beside the reference implementation, in turn.

    python -m benchmarks.families [FAMILY ...] [--tiny] [--rounds 1] [--folder FOLDER]

All run in processes of their own, with the same weights and the same input: a segment from samples to samples, or the
network alone where that is all that others have. References (pymss-core, demucs, openunmix) are installed into a
virtual environment of their own; where that fails, and for networks that nobody else runs in PyTorch, our twin stands
in. ``--tiny`` takes networks of a few channels, to try the benchmark itself, and leaves the table as it was. All
families take about a quarter of an hour.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.family_cases import CASES, HALVED, Run
from benchmarks.timing import own_peak_megabytes, timed

ROOT = Path(__file__).parents[1]
HOME = Path.home() / ".cache" / "unweave-benchmarks" / "references"
PACKAGES = ("torch", "demucs==4.1.0", "pymss-core==0.1.14", "safetensors")
WITHOUT_THEIR_OWN = ("openunmix==1.3.0",)  # it resamples by torchaudio, which is not needed
REFERENCES = {
    "roformer": "pymss-core", "scnet": "pymss-core", "mdx23c": "pymss-core", "vr": "pymss-core", "htdemucs": "demucs",
    "hdemucs": "demucs", "openunmix": "openunmix",
}  # fmt: skip
OURS, BFLOAT16, TWIN = "ours", "bfloat16", "twin"


def install_references(folder):
    """The Python of an environment that has the references, or None where they cannot be had."""
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return python
    pip = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([*pip, "-c", ROOT / "constraints.txt", *PACKAGES], check=True)
        subprocess.run([*pip, "--no-deps", *WITHOUT_THEIR_OWN], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the references cannot be installed, our twins stand in: {error}", flush=True)
        return None
    complete.touch()
    return python


def step(command, folder):
    """What a process printed last, as JSON."""
    environment = {**os.environ, "UNWEAVE_CACHE": str(folder / "cache"), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [str(part) for part in command], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def work(kind, index, folder, *, tiny):
    """One step of one case, in this process; prints JSON."""
    case = CASES[index]
    run = Run(case, (case.small if tiny else case.full)(), folder)
    if kind == "prepare":
        n_operations = run.prepare()
        description = {} if run.is_masking else asdict(run.spec)
        (folder / "case.json").write_text(json.dumps({"family": case.family, "spec": description}))
        print(json.dumps({"operations": n_operations, "seconds": run.seconds}))
        return
    given = np.load(folder / "input.npy")
    if kind == OURS:
        action, n_lanes = run.ours(), run.n_lanes
    else:
        action, n_lanes = run.twin() if kind == TWIN else run.ours(HALVED), 1

    def all_lanes():
        results = [None] * n_lanes

        def lane(number):
            results[number] = action(given)

        threads = [threading.Thread(target=lane, args=(number,)) for number in range(n_lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return np.array(results[0])

    result, seconds = timed(all_lanes)
    np.save(folder / f"{kind}.npy", result)
    print(json.dumps({"seconds": seconds / n_lanes, "megabytes": own_peak_megabytes()}))


def difference(folder, ours, theirs):
    """How far ours is from the other's output, in decibels below it; the edges of masks are nobody's."""
    ours, other = (np.load(folder / f"{name}.npy").astype(np.float64) for name in (ours, theirs))
    if ours.size != other.size:
        return "?"
    ours, other = ours.reshape(other.shape), other
    if json.loads((folder / "case.json").read_text())["family"] == "vr":
        ours, other = ours[..., 64:-64], other[..., 64:-64]
    return f"{20 * np.log10(np.linalg.norm(ours - other) / np.linalg.norm(other)):.0f}"


def measure(index, python, folder, rounds, *, tiny):
    """The rows of a case."""
    case = CASES[index]
    own = [sys.executable, "-m", "benchmarks.families", *(["--tiny"] if tiny else []), "--work"]
    prepared = step([*own, "prepare", index, folder], folder)
    theirs = "reference" if python and case.family in REFERENCES else TWIN
    name = f"{REFERENCES[case.family]}, PyTorch" if theirs != TWIN else "our twin in PyTorch"
    labels = {OURS: f"**{case.label}**, ours", BFLOAT16: "ours, bfloat16", theirs: name}
    commands = {kind: [*own, kind, index, folder] for kind in labels}
    if theirs != TWIN:
        commands[theirs] = [python, ROOT / "benchmarks" / "references.py", folder]
    runs = {kind: [] for kind in labels}
    for _ in range(rounds):
        for kind, command in commands.items():
            runs[kind].append(step(command, folder))
    rows = []
    for kind, label in labels.items():
        seconds = statistics.median([each["seconds"] for each in runs[kind]])
        ratios = [b["seconds"] / a["seconds"] for a, b in zip(runs[kind], runs[theirs], strict=True)]
        rows.append(
            (
                label,
                f"{seconds / prepared['seconds']:.3f}",
                f"{prepared['operations'] / seconds / 1e9:.0f}",
                f"{max(each['megabytes'] for each in runs[kind]):.0f}",
                "" if kind == theirs else f"{statistics.median(ratios):.2f}",
                "" if kind == theirs else difference(folder, kind, theirs),
            )
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    families = sorted({case.family for case in CASES})
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"some of {', '.join(families)}")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=HOME, help="of the references' environment")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        kind, index, folder = arguments.work
        work(kind, int(index), Path(folder), tiny=arguments.tiny)
        return
    if unknown := set(arguments.families) - set(families):
        parser.error(f"unknown family {', '.join(sorted(unknown))}")
    python = install_references(arguments.folder)
    rows = []
    for index, case in enumerate(CASES):
        if not arguments.families or case.family in arguments.families:
            with tempfile.TemporaryDirectory(prefix="unweave-families-") as folder:
                found = measure(index, python, Path(folder), arguments.rounds, tiny=arguments.tiny)
            rows += found
            print(*(" | ".join(row) for row in found), sep="\n", flush=True)
    headings = ("network", "s per second of audio", "GFLOP/s", "peak MB", "times as fast", "difference in dB")
    if not arguments.tiny and not arguments.families:
        from benchmarks.measure import report  # it imports much of unweave, which would count as memory of the networks

        report("families", [("random weights, segments that do not overlap", headings, rows)])


if __name__ == "__main__":
    main()
