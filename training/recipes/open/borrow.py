"""Train on a machine that is lent for minutes and takes so many megabytes at a time; what it learns adds up.

    python borrow.py pack plan.toml pieces --pieces 6 --mib 56         # here, once
    python borrow.py train plan.toml pieces run --minutes 8            # there, as often as there are minutes

A piece is an archive of songs with all their stems, as Ogg Vorbis, and a list of them. It is whole by itself and nearly
as large as is allowed: almost two hours of stems in 56 MiB. Songs are drawn at random, heavier ones first; what the
plan holds out comes with the first piece. Bring the pieces one by one into the folder ``pieces`` there: those that have
come are unpacked once, and trained on.

``run`` is what travels between the machines: the checkpoint in parts of at most ``--part-mib``, and, when all steps are
made, the model. Bring it back after training, and along the next time.
"""

import argparse
import csv
import dataclasses
import itertools
import math
import random
import re
import shutil
import tarfile
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from unweave.audio.encode import AudioWriter
from unweave.audio.formats import find_format
from unweave.cli.failures import failures_shown, interrupted, interrupts_deferred
from unweave.cli.training_progress import ShownRun
from unweave.errors import OptionError
from unweave.files import replace_file
from unweave.training.checkpoint import FILE
from unweave.training.plan import SourcePlan, read_plan
from unweave.training.shards import decoded_stems
from unweave.training.tracks import find_training_tracks
from unweave.training.trainer import is_held_out, train

MIB = 1 << 20
SAMPLE_RATE = 44100
BITRATE = 128_000  # nominal; stems with pauses and few partials take less
LIST = "list.csv"


def main():
    """Pack here, train there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    packing = verbs.add_parser("pack", help="write the plan's music into pieces")
    training = verbs.add_parser("train", help="go on with the run, on the pieces that are there")
    for verb in (packing, training):
        verb.add_argument("plan", type=Path)
        verb.add_argument("pieces", type=Path, help="folder of the pieces")
    packing.add_argument("--pieces", dest="n_pieces", type=int, default=6)
    packing.add_argument("--mib", type=float, default=56.0, help="of a piece, at most")
    packing.add_argument("--seed", type=int, default=0)
    training.add_argument("run", type=Path, help="folder of the checkpoint's parts, read and written")
    training.add_argument("--work", type=Path, default=Path("/tmp/borrowed"), help="where pieces are unpacked")
    training.add_argument("--minutes", type=float, required=True, help="of training, decoding not counted in")
    training.add_argument("--part-mib", type=float, default=15.0)
    training.add_argument("--batch-size", type=int, help="instead of the plan's")
    training.add_argument("--steps", type=int, help="instead of the plan's")
    arguments = parser.parse_args()
    if arguments.verb == "pack":
        pack(arguments)
    else:
        train_here(arguments)


def pack(arguments):
    """Write the pieces, each under its name when it is whole."""
    plan = read_plan(arguments.plan)
    songs = iter(in_order(plan, random.Random(arguments.seed)))
    arguments.pieces.mkdir(parents=True, exist_ok=True)
    left = None
    for number in range(arguments.n_pieces):
        with tempfile.TemporaryDirectory(dir=arguments.pieces) as staged:
            left = fill(Path(staged), itertools.chain([left] if left else [], songs), arguments.mib * MIB)
            archive = Path(staged) / "piece.tar"
            with tarfile.open(archive, "w") as file:
                for path in sorted(path for path in Path(staged).rglob("*") if path.is_file() and path != archive):
                    file.add(path, path.relative_to(staged).as_posix())
            path = arguments.pieces / f"piece-{number:02}.tar"
            archive.replace(path)
        print(f"{path}  {path.stat().st_size / MIB:.1f} MiB", flush=True)
        if left is None:
            break


def in_order(plan, generator):
    """The plan's songs as they are packed: what is held out, then the others, drawn by weight without replacement."""
    songs = [song for source in plan.data.sources for song in find_training_tracks(source, plan.model.stems)]
    # Exponential keys: P. Efraimidis and P. Spirakis, "Weighted random sampling with a reservoir", 2006.
    keys = {id(song): generator.expovariate(song.weight) for song in songs}
    return sorted(songs, key=lambda song: (not is_held_out(song, plan), keys[id(song)]))


def fill(folder, songs, limit):
    """Encode songs into ``folder`` until the next would be too many; returns that one, or None when all are in."""
    rows, size, left = [], 0, None
    with ThreadPoolExecutor() as pool:
        for song in songs:
            files = encode(song, folder / f"{len(rows):05}", pool)
            # Blocks of an archive are 512 bytes, with one before each file.
            needed = sum(path.stat().st_size + 1536 for _, path in files) + 200 * len(files)
            if size + needed > limit - 20480:
                shutil.rmtree(folder / f"{len(rows):05}")
                if not rows:
                    raise OptionError(f"{song.name} alone is larger than a piece")
                left = song
                break
            size += needed
            for stem, path in files:
                rows.append((song.name, stem, path.relative_to(folder).as_posix(), song.licence, song.weight))
    with (folder / LIST).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("track", "stem", "path", "licence", "weight"))
        writer.writerows(rows)
    return left


def encode(song, folder, pool):
    """The stems of ``song`` as (stem, file)."""

    def write(stem, waveform):
        path = folder / f"{stem}.ogg"
        kind = find_format("ogg")
        with AudioWriter(path, kind, sample_rate=SAMPLE_RATE, n_channels=2, bitrate=BITRATE) as writer:
            writer.write(waveform)
            writer.finish()
            writer.commit()
        return stem, path

    stems = decoded_stems(song, SAMPLE_RATE)
    # Some mixes of stems pass full scale; in training their level is drawn anew.
    return list(pool.map(lambda pair: write(pair[0], pair[1] / max(1.0, abs(pair[1]).max(initial=0))), stems))


def train_here(arguments):
    """Unpack what has come, go on from the run's checkpoint, and leave the next one in parts."""
    plan, output = read_plan(arguments.plan), arguments.work / "run"
    lists = [unpack(path, arguments.work / "pieces") for path in sorted(arguments.pieces.glob("*.tar"))]
    if not lists:
        raise OptionError(f"no piece is in {arguments.pieces}")
    join(arguments.run, output / FILE)
    changes = {"batch_size": arguments.batch_size, "steps": arguments.steps}
    plan = dataclasses.replace(
        plan,
        output=output,
        data=dataclasses.replace(
            plan.data,
            cache=arguments.work / "cache",
            sources=tuple(SourcePlan(path=path) for path in lists),
        ),
        training=dataclasses.replace(
            plan.training,
            max_minutes=arguments.minutes,
            **{name: value for name, value in changes.items() if value is not None},
        ),
    )
    with ShownRun() as watcher, interrupts_deferred():
        result = train(plan, name=arguments.plan.stem, watcher=watcher, should_stop=interrupted.is_set)
    split(output / FILE, arguments.run, result.state.step, int(arguments.part_mib * MIB))
    if result.is_finished:
        for name in ("model.safetensors", "model.onnx", "README.md"):
            shutil.copy(output / name, arguments.run)
    print(f"step {result.state.step} of {plan.training.steps} in {arguments.run}")


def unpack(piece, folder):
    """The list of ``piece``, unpacked once: there whole or not at all."""
    target = folder / piece.stem
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as staged, tarfile.open(piece) as file:
            file.extractall(Path(staged) / "piece", filter="data")
            (Path(staged) / "piece").rename(target)
    return target / LIST


def split(path, folder, step, size):
    """Write the checkpoint of ``step`` into ``folder`` as parts of ``size`` bytes; those of before go at the end."""
    content = path.read_bytes()
    n_parts = math.ceil(len(content) / size)
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.glob(f"{path.name}.*"))
    for number in range(n_parts):
        part = folder / f"{path.name}.{step:07}.{number + 1}-of-{n_parts}"
        part.write_bytes(content[number * size : (number + 1) * size])
        before.discard(part)
    for part in before:
        part.unlink()


def join(folder, path):
    """Put the latest whole checkpoint among the parts in ``folder`` to ``path``, unless a later one is there."""
    found = defaultdict(dict)
    for part in folder.glob(f"{path.name}.*"):
        step, number, n_parts = map(int, re.fullmatch(r".*\.(\d+)\.(\d+)-of-(\d+)", part.name).groups())
        found[step, n_parts][number] = part
    whole = {step: parts for (step, n_parts), parts in found.items() if len(parts) == n_parts}
    if found and not whole:
        raise OptionError(f"parts of the checkpoint are missing in {folder}")
    if not whole or (path.exists() and step_of(path) >= max(whole)):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = whole[max(whole)]
    replace_file(path, b"".join(parts[number].read_bytes() for number in sorted(parts)))


def step_of(checkpoint):
    """How many steps were made."""
    return torch.load(checkpoint, map_location="cpu", weights_only=True)["step"]


if __name__ == "__main__":
    with failures_shown(False):
        main()
