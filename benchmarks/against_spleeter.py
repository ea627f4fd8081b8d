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

from benchmarks.measure import UNWEAVE, median, print_table, run, write_song
from unweave.models.hub import ensure_weights

ORIGINAL = "spleeter==2.4.2"


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

    theirs, ours = [], []
    with tempfile.TemporaryDirectory() as out:
        original = [script, "separate", "-p", "spleeter:2stems", "-o", f"{out}/theirs", song]
        unweave = [*UNWEAVE, "separate", "-p", "spleeter:2stems", "-o", f"{out}/ours", song]
        run(unweave)  # warm: weights converted, files in the page cache
        for _ in range(arguments.pairs):
            theirs.append(run(original, MODEL_PATH=str(weights), TF_CPP_MIN_LOG_LEVEL="3"))
            ours.append(run(unweave))
    rows = [
        (name, *(f"{median(getattr(r, field) for r in runs):.1f}" for field in ("wall_seconds", "cpu_seconds")),
         f"{median(r.peak_megabytes for r in runs):.0f}")
        for name, runs in (("spleeter 2.4.2", theirs), ("unweave", ours))
    ]  # fmt: skip
    print_table(f"{song.name}, 2 stems, wav; medians of {arguments.pairs}", ("", "wall s", "cpu s", "peak MB"), rows)
    ratios = [a.wall_seconds / b.wall_seconds for a, b in zip(theirs, ours, strict=True)]
    memory = [a.peak_megabytes / b.peak_megabytes for a, b in zip(theirs, ours, strict=True)]
    print(f"\nfaster, pair by pair: {', '.join(f'{ratio:.1f}' for ratio in ratios)} (median {median(ratios):.1f})")
    print(f"smaller, pair by pair: {', '.join(f'{ratio:.1f}' for ratio in memory)} (median {median(memory):.1f})")


if __name__ == "__main__":
    main()
