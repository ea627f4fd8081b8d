"""The original 2.4.2 and unweave in turn on one song: whole processes, ratios pair by pair.

    python -m benchmarks.against_spleeter [--seconds 300] [--pairs 3] [--python python3.10]

Installs the original (TensorFlow 2.12) into a virtual environment of its own; needs Python 3.8 to 3.11 and the
program ffmpeg, as the original does. Its weights come through unweave's hub.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.measure import UNWEAVE, four_stems_for_the_clock, median, report, run, write_song
from unweave.models.hub import ensure_weights

ORIGINAL = "spleeter==2.4.2"
OWN_MODELS = ("unweave:4stems", "unweave:4stems-cascade")


def install_original(folder, python):
    """The original's console script, installed if it is not there yet."""
    script = folder / "bin" / "spleeter"
    if not script.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", ORIGINAL], check=True)
    return script


def pretrained(folder):
    """Weights where the original looks for them, with the mark that says they are whole."""
    target = folder / "2stems"
    if not (target / ".probe").exists():
        shutil.copytree(ensure_weights("2stems"), target, dirs_exist_ok=True)
        (target / "checkpoint").write_text('model_checkpoint_path: "model"\nall_model_checkpoint_paths: "model"\n')
        (target / ".probe").write_text("OK")
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--python", default="python3.10")
    parser.add_argument("--folder", type=Path, default=Path.home() / ".cache" / "unweave-benchmarks")
    parser.add_argument("--song", type=Path, help="a song of your own instead of a synthetic one")
    arguments = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        raise SystemExit("the original needs the program ffmpeg")
    script = install_original(arguments.folder / "original", arguments.python)
    weights = pretrained(arguments.folder / "pretrained_models")
    song = arguments.song or write_song(arguments.folder / f"song{arguments.seconds:.0f}.wav", arguments.seconds)

    with tempfile.TemporaryDirectory() as out:
        ours = [*UNWEAVE, "separate", "-p", "spleeter:2stems", "-o", f"{out}/ours", song]
        commands = {
            "spleeter 2.4.2": [script, "separate", "-p", "spleeter:2stems", "-o", f"{out}/theirs", song],
            "unweave, exact": [*ours, "--quality", "exact"],
            "unweave, balanced (default)": ours,
            "unweave, exact, bfloat16": [*ours, "--quality", "exact", "--precision", "bfloat16"],
        }
        run(ours)  # warm: weights converted, files in the page cache
        four = ["separate", "-p", four_stems_for_the_clock(arguments.folder), "-o", f"{out}/four", song]
        commands["unweave, exact, 4 stems"] = [*UNWEAVE, *four, "--quality", "exact"]
        for model in OWN_MODELS:
            commands[model] = [*UNWEAVE, "separate", "-p", model, "-o", f"{out}/own", song]
        for name in list(commands)[3:]:
            run(commands[name])
        runs = {name: [] for name in commands}
        for _ in range(arguments.pairs):
            for name, command in commands.items():
                runs[name].append(run(command, MODEL_PATH=str(weights), TF_CPP_MIN_LOG_LEVEL="3"))
    original = next(iter(runs.values()))
    default = median(each.wall_seconds for each in runs["unweave, balanced (default)"])
    rows = []
    for name, series in runs.items():
        wall, cpu, peak = (
            median(getattr(each, field) for each in series)
            for field in ("wall_seconds", "cpu_seconds", "peak_megabytes")
        )
        ratios = [a.wall_seconds / b.wall_seconds for a, b in zip(original, series, strict=True)]
        faster = f"{median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        rows.append((name, f"{wall:.1f}", f"{cpu:.1f}", f"{peak:.0f}", faster, f"{wall / default:.2f}"))
    title = f"{song.name}, wav, 2 stems where nothing else is said; medians of {arguments.pairs}, ratios run by run"
    headings = ("", "wall s", "cpu s", "peak MB", "times faster", "time of the default")
    report("against_spleeter", [(title, headings, rows)])


if __name__ == "__main__":
    main()
