"""Our graph of htdemucs beside the published one, with the same weights, in turn: equality, seconds, memory.

python -m benchmarks.htdemucs [--published htdemucs.onnx] [--song examples/song.mp3] [--segments 4] [--rounds 3]
                              [--profile]

The weights are recovered from the published graph (`unweave.families.htdemucs.recover`). The published graph is run as
its users run it, one segment after the other on all cores; ours as unweave runs it, one segment per core.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnx
import onnxruntime

from benchmarks.arithmetic import count_operations
from benchmarks.measure import median, report
from benchmarks.timing import own_peak_megabytes
from unweave.audio.decode import AudioReader
from unweave.dsp.real_parts import as_channels
from unweave.engines.denormals import without_denormals
from unweave.engines.onnx import OnnxSession
from unweave.engines.openvino import OpenVinoSession
from unweave.families.demucs.graph import MIXTURE, SPECTRUM
from unweave.families.demucs.recipe import segment_level
from unweave.families.demucs.spectrum import spectrum_of
from unweave.families.htdemucs.graph import build_graph
from unweave.families.htdemucs.recover import is_half_precision, recover_state
from unweave.families.htdemucs.spec import HTDemucsSpec
from unweave.models.hub import ensure_weights

SPEC = HTDemucsSpec()
PUBLISHED_INPUTS = ("input", "onnx::ReduceMean_1")
OPTIMISED = "optimised.onnx"
BFLOAT16 = "ours, bfloat16"
N_CORES = os.cpu_count() or 1


def session(path, n_threads, *, reuse, save=None, profile=None):
    options = onnxruntime.SessionOptions()
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if save:  # as unweave's cache keeps a graph: optimised, with its weights in a file that is mapped
        options.optimized_model_filepath = str(save)
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights.bin")
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    elif Path(path).name == OPTIMISED:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = n_threads
    options.enable_mem_pattern = False
    # Buffers that are kept for later values of the same size would triple the memory of ours.
    options.enable_mem_reuse = reuse
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def song_segment(path):
    """One segment from the middle of a song, at the level that the network is given."""
    with AudioReader(path) as reader:
        samples = np.concatenate(list(reader), axis=1)
    start = max(0, (samples.shape[1] - SPEC.segment_samples) // 2)
    segment = np.zeros((2, SPEC.segment_samples), np.float32)
    part = samples[:2, start : start + SPEC.segment_samples]
    segment[:, : part.shape[1]] = part
    level = segment_level(segment)
    segment = (segment - np.float32(level.mean)) / np.float32(level.deviation)
    return segment[None], as_channels(spectrum_of(segment, SPEC))[None]


def work(kind, path, inputs, n_segments):
    """Separate ``n_segments`` segments in a process of its own; print the seconds of each and the peak megabytes."""
    arrays = np.load(inputs)
    segment = (arrays["mixture"], arrays["spectrum"])
    if kind == "published":
        network, feeds = session(path, N_CORES, reuse=True), dict(zip(PUBLISHED_INPUTS, segment, strict=True))
        n_lanes, action = 1, partial(network.run, None, feeds)
    elif kind == "ours":
        n_lanes, action = N_CORES, partial(OnnxSession(Path(path), 1, N_CORES).run, *segment)
    else:
        n_lanes, action = 1, partial(OpenVinoSession(Path(path), N_CORES, "bfloat16").run, *segment)

    def lane(n_runs):
        for _ in range(n_runs):
            action()

    def all_lanes(n_runs):
        threads = [threading.Thread(target=lane, args=(n_runs,)) for _ in range(n_lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_lanes(1)
    n_runs = -(-n_segments // n_lanes)
    started = time.perf_counter()
    all_lanes(n_runs)
    print((time.perf_counter() - started) / (n_runs * n_lanes), own_peak_megabytes())


def measured(kind, path, inputs, n_segments):
    """Seconds per segment, and the peak memory of the process in megabytes."""
    command = [sys.executable, "-m", "benchmarks.htdemucs", "--worker", kind, path, inputs, str(n_segments)]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def profile(path, inputs):
    """Print what each kind of operation takes of one segment on one thread, by ONNX Runtime's own account."""
    arrays = np.load(inputs)
    feeds = {MIXTURE: arrays["mixture"], SPECTRUM: arrays["spectrum"]}
    with tempfile.TemporaryDirectory() as folder:
        loaded = session(path, 1, reuse=False, profile=Path(folder) / "profile")
        for _ in range(2):
            with without_denormals():
                loaded.run(None, feeds)
        events = json.loads(Path(loaded.end_profiling()).read_text())
    kernels = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    seconds, counts = Counter(), Counter()
    for event in kernels[len(kernels) // 2 :]:  # of the second run
        seconds[event["args"]["op_name"]] += event["dur"] / 1e6
        counts[event["args"]["op_name"]] += 1
    total = seconds.total()
    print("\n| operation | nodes | ms | share |\n|---|---|---|---|")
    for kind, spent in seconds.most_common():
        print(f"| {kind} | {counts[kind]} | {1000 * spent:.1f} | {spent / total:.1%} |")


def difference_db(ours, theirs):
    error = np.linalg.norm((ours - theirs).astype(np.float64)) / np.linalg.norm(theirs.astype(np.float64))
    return 20 * np.log10(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--song", type=Path, default=Path("examples/song.mp3"))
    parser.add_argument("--segments", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="also print what each kind of operation takes")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        kind, path, inputs, n_segments = arguments.worker
        work(kind, path, inputs, int(n_segments))
        return
    published = arguments.published or ensure_weights("htdemucs") / "htdemucs.onnx"
    state = recover_state(published, SPEC)
    exact = "all of half precision" if is_half_precision(state) else "NOT of half precision"
    print(f"{sum(array.size for array in state.values())} weights recovered, {exact}")
    with tempfile.TemporaryDirectory() as folder:
        ours, inputs = Path(folder) / "ours.onnx", Path(folder) / "inputs.npz"
        onnx.save(build_graph(SPEC, state), ours)
        mixture, spectrum = song_segment(arguments.song)
        np.savez(inputs, mixture=mixture, spectrum=spectrum)
        results = []
        for path, names in ((published, PUBLISHED_INPUTS), (ours, (MIXTURE, SPECTRUM))):
            feeds = dict(zip(names, (mixture, spectrum), strict=True))
            results.append(session(path, N_CORES, reuse=False).run(None, feeds))
        for name, theirs, own in zip(("spectra", "waveforms"), *results, strict=True):
            print(f"{name}: ours differ from the published graph's by {difference_db(own, theirs):.1f} dB")
        figures = {"published": [], "ours": [], BFLOAT16: []}
        n_operations = count_operations(ours)  # of the published graph, as many
        optimised = Path(folder) / OPTIMISED
        session(ours, 1, reuse=False, save=optimised)
        if arguments.profile:
            profile(optimised, inputs)
        for _ in range(arguments.rounds):
            for kind, path in (("published", published), ("ours", optimised), (BFLOAT16, ours)):
                figures[kind].append(measured(kind, path, inputs, arguments.segments))
    rows = []
    for kind, runs in figures.items():
        seconds, peak = median([run[0] for run in runs]), max(run[1] for run in runs)
        ratios = [theirs[0] / own[0] for theirs, own in zip(figures["published"], runs, strict=True)]
        faster = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rows.append((kind, f"{seconds:.2f}", f"{n_operations / seconds / 1e9:.0f}", f"{peak:.0f}", faster))
    title = f"a segment of 7.8 s with htdemucs' weights, {N_CORES} threads, medians of {arguments.rounds}"
    headings = ("graph", "s", "GFLOP/s", "peak MB", "times as fast")
    report("htdemucs", [(title, headings, rows)])


if __name__ == "__main__":
    main()
