"""Training, from a plan to a model: the network, the music, the loop, and the result."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from filelock import FileLock, Timeout
from torch import nn

from unweave.errors import OptionError
from unweave.families.torch_network import load_network, new_network, with_time_attention
from unweave.models.resolve import resolve
from unweave.models.spec import MaskModelSpec
from unweave.models.validate import frame_grid
from unweave.training.allocation import keep_freed_memory
from unweave.training.checkpoint import TrainingState
from unweave.training.learner import freeze_norms, without
from unweave.training.loop import Loop
from unweave.training.losses import FEWEST_SAMPLES
from unweave.training.optimizers import learning_rate
from unweave.training.plan import Plan
from unweave.training.release import release
from unweave.training.shards import Shards, prepare_shards
from unweave.training.spectrum import segment_samples
from unweave.training.tracks import TrainingTrack, find_training_tracks
from unweave.training.watcher import Step, Watcher

__all__ = ["Result", "Step", "Watcher", "freeze_norms", "is_held_out", "learning_rate", "train", "without"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    state: TrainingState
    folder: Path
    is_finished: bool  # False: stopped, and goes on when it is called again
    is_main: bool = True  # of several processes that train together, the one that writes and tells


def train(
    plan: Plan,
    *,
    name: str = "trained",
    restart: bool = False,
    watcher: Watcher | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    command: Sequence[str] = ("unweave", "train"),
) -> Result:
    """Train as ``plan`` says, continuing from the checkpoint in its output folder if there is one.

    ``should_stop`` is called after each step; if it returns True, a checkpoint is written and the result is not
    finished. Raises `OptionError` for a plan that cannot be carried out, where another run trains in the same folder,
    and if the loss is no longer a number (the last good checkpoint is then kept); `ModelError` for a start that is not
    available. From here on, the process keeps the memory that it frees (`keep_freed_memory`).
    """
    keep_freed_memory()
    accelerator = _accelerator(plan)
    watcher = watcher if watcher is not None and accelerator.is_main_process else Watcher()
    spec, network = _network(plan, name)
    _check_fit(plan, spec)
    _check_output(plan.output)
    with _only_run_in(plan.output) if accelerator.is_main_process else nullcontext():
        with accelerator.main_process_first():
            training, held_out = _shards(plan, spec, watcher)
        loop = Loop(plan, spec, network, training, held_out, accelerator, watcher)
        if not restart:
            loop.resume()
        is_finished = loop.run(should_stop)
        if accelerator.is_main_process and is_finished:
            teacher = None if plan.distillation is None else plan.distillation.teacher
            release(loop.best_network(), spec, training, loop.state, plan.output, command, plan.model.start, teacher)
    accelerator.end_training()
    return Result(loop.state, plan.output, is_finished, accelerator.is_main_process)


def _accelerator(plan: Plan) -> Accelerator:
    """The device, and what joins this process with others that were started with it."""
    AcceleratorState._reset_state()  # one process may train in several precisions
    n_processes = int(os.environ.get("WORLD_SIZE", "1"))
    has_device = torch.cuda.is_available() or torch.xpu.is_available()
    # accelerate joins processes on the CPU only if it is told to use it.
    accelerator = Accelerator(cpu=n_processes > 1 and not has_device, mixed_precision=plan.training.precision)
    if accelerator.num_processes != n_processes:
        raise OptionError(f"{n_processes} processes were started, but only {accelerator.num_processes} work together")
    return accelerator


def _check_fit(plan: Plan, spec: MaskModelSpec) -> None:
    """Raise `OptionError` where ``plan`` says something that the model cannot be trained with."""
    grid, n_frames = frame_grid(spec), plan.data.segment_frames
    if n_frames % grid:
        raise OptionError(f"data.segment_frames must be a multiple of {grid} for this model, got {n_frames}")
    n_samples = segment_samples(spec, n_frames) - 2 * (spec.n_fft - spec.hop_length)
    for name in plan.loss:
        if n_samples < FEWEST_SAMPLES.get(name, 0):
            raise OptionError(f"data.segment_frames = {n_frames} is too few for the loss {name}")
    for key in ("rare", "taken", "layers", "saturation"):
        for stem in getattr(plan.augmentation, key):
            if stem not in spec.stems:
                raise OptionError(f"augmentation.{key}: {stem} is none of the model's stems {', '.join(spec.stems)}")


def _check_output(folder: Path) -> None:
    """Raise `OptionError` where nothing can be written into ``folder``: before hours of work, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OptionError(f"cannot write to the output folder {folder}: {error.strerror or error}") from error


@contextmanager
def _only_run_in(folder: Path) -> Iterator[None]:
    """Raises `OptionError` where another run trains in ``folder``: each would replace the other's checkpoint."""
    lock = FileLock(folder / "training.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OptionError(f"another run is training in {folder}; stop it, or choose another output") from error
    except (OSError, NotImplementedError) as error:  # some file systems of clusters have no locks
        log.debug("%s cannot be locked: %s", folder, error)
    try:
        yield
    finally:
        lock.release()


def _network(plan: Plan, name: str) -> tuple[MaskModelSpec, nn.Module]:
    if plan.model.start is None:
        torch.manual_seed(plan.training.seed)
        spec = plan.model.to_spec(name)
        return spec, new_network(spec)
    model = resolve(plan.model.start)
    if not isinstance(model.spec, MaskModelSpec):
        raise OptionError(f"{plan.model.start} cannot be trained further: it is a finished graph")
    if model.spec.folds:
        raise OptionError(
            f"{plan.model.start} cannot be trained further: it adds up stems of a network that tells "
            f"{', '.join(model.spec.network_stems)} apart; start from a model that has all of them"
        )
    spec = replace(model.spec, name=name, weights=name, before="")  # of a cascade the second network is trained
    network = load_network(model.spec, model.locate(False, lambda done, total, label: None))
    if plan.model.time_attention:
        torch.manual_seed(plan.training.seed)
        network, spec = with_time_attention(network, spec), replace(spec, time_attention=True)
    return spec, network


def _shards(plan: Plan, spec: MaskModelSpec, watcher: Watcher) -> tuple[Shards, Shards | None]:
    """The decoded stems to train on, and those to validate with."""
    sources = [find_training_tracks(source, spec.stems) for source in plan.data.sources]
    for pattern in plan.data.held_out:
        if not any(_fits(track, pattern) for tracks in sources for track in tracks):
            log.warning("no track fits the pattern %r of data.held_out, so nothing is held out for it", pattern)
    if plan.data.licences:
        sources = [[track for track in tracks if track.licence in plan.data.licences] for tracks in sources]
        if not any(sources):
            raise OptionError(f"no track has a licence of {', '.join(plan.data.licences)}")
    training = [[track for track in tracks if not is_held_out(track, plan)] for tracks in sources]
    held_out = [[track for track in tracks if is_held_out(track, plan)] for tracks in sources]
    held_out += [find_training_tracks(source, spec.stems) for source in plan.data.validation]

    def prepare(groups: list[list[TrainingTrack]]) -> Shards:
        """Each source has shards of its own, so that another one costs no more than itself."""
        groups = [tracks for tracks in groups if any(track.files for track in tracks)] or [[]]
        parts = [prepare_shards(tracks, plan.data.cache, spec.sample_rate, watcher.decoding) for tracks in groups]
        return Shards([folder for part in parts for folder in part.folders])

    return prepare(training), prepare(held_out) if any(held_out) else None


def is_held_out(track: TrainingTrack, plan: Plan) -> bool:
    """Whether ``plan`` keeps ``track`` to validate with."""
    return any(_fits(track, pattern) for pattern in plan.data.held_out)


def _fits(track: TrainingTrack, pattern: str) -> bool:
    """Whether ``pattern`` is the track's name, which may have brackets in it, or fits it."""
    return track.name == pattern or fnmatch(track.name, pattern)
