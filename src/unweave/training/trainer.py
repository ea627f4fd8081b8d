"""The loop: batches in, weights out, and nothing lost when it is stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from unweave.errors import OptionError
from unweave.models.export import spec_to_json
from unweave.models.resolve import resolve
from unweave.models.spec import MaskModelSpec
from unweave.models.torch_network import count_operations, load_network, new_network, with_time_attention
from unweave.training.allocation import keep_freed_memory
from unweave.training.augmentation import Augmentation
from unweave.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from unweave.training.distillation import Teacher
from unweave.training.journal import Journal
from unweave.training.losses import Estimate, Truth, compiled, plainly, weighted_loss
from unweave.training.muon import Muon
from unweave.training.plan import LoopPlan, Plan
from unweave.training.release import release
from unweave.training.sampler import Sampler
from unweave.training.shards import Shards, prepare_shards
from unweave.training.spectrum import Transform, segment_samples
from unweave.training.tracks import TrainingTrack, find_training_tracks
from unweave.training.validation import Validation, Validator

TRAINING_PER_FORWARD = 3  # a step computes the forward pass, and twice as much for the two gradients


@dataclass(frozen=True)
class Step:
    """What one step is worth telling."""

    number: int
    loss: float
    learning_rate: float
    segments_per_second: float  # over all processes
    gigaflops: float  # per second, of the network alone
    seconds_left: float


class Watcher:
    """Is told how a run goes on; this one keeps it to itself."""

    def decoding(self, done: int, total: int, name: str) -> None:
        """A track is being decoded into the cache."""

    def started(self, spec: MaskModelSpec, n_parameters: int, first_step: int, n_steps: int) -> None:
        """Training begins, or goes on."""

    def step(self, step: Step) -> None:
        """Some steps were made."""

    def validated(self, step: int, validation: Validation, is_best: bool) -> None:
        """The held-out tracks were separated."""


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    state: TrainingState
    folder: Path
    is_finished: bool  # False: stopped, and goes on when it is called again


def train(
    plan: Plan,
    *,
    name: str = "trained",
    restart: bool = False,
    watcher: Watcher | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    command: Sequence[str] = ("unweave", "train"),
) -> Result:
    """Train as ``plan`` says, going on from the checkpoint in its output if there is one.

    ``should_stop`` is asked after each step; if it says so, a checkpoint is written and the result is not finished.
    Raises `OptionError` for a plan that cannot be carried out, `ModelError` for a start that cannot be had.
    From here on the process keeps the memory that it frees (`keep_freed_memory`).
    """
    keep_freed_memory()
    watcher = watcher or Watcher()
    AcceleratorState._reset_state()  # one process may train in several precisions
    accelerator = Accelerator(mixed_precision=plan.training.precision)
    spec, network = _network(plan, name)
    with accelerator.main_process_first():
        training, held_out = _shards(plan, spec, watcher)
    run = _Run(plan, spec, network, training, held_out, accelerator, watcher)
    if not restart:
        run.resume()
    is_finished = run.go(should_stop)
    if accelerator.is_main_process and is_finished:
        teacher = None if plan.distillation is None else plan.distillation.teacher
        release(run.best_network(), spec, training, run.state, plan.output, command, plan.model.start, teacher)
    accelerator.end_training()
    return Result(run.state, plan.output, is_finished)


def _network(plan: Plan, name: str) -> tuple[MaskModelSpec, nn.Module]:
    if plan.model.start is None:
        torch.manual_seed(plan.training.seed)
        spec = plan.model.to_spec(name)
        return spec, new_network(spec)
    model = resolve(plan.model.start)
    if not isinstance(model.spec, MaskModelSpec):
        raise OptionError(f"{plan.model.start} cannot be trained: it is a graph without its making")
    spec = replace(model.spec, name=name, weights=name)
    network = load_network(model.spec, model.locate(False, lambda done, total, label: None))
    if plan.model.time_attention:
        torch.manual_seed(plan.training.seed)
        network, spec = with_time_attention(network, spec), replace(spec, time_attention=True)
    return spec, network


def _shards(plan: Plan, spec: MaskModelSpec, watcher: Watcher) -> tuple[Shards, Shards | None]:
    """The decoded stems to train on, and those to validate with."""
    sources = [find_training_tracks(source, spec.stems) for source in plan.data.sources]
    if plan.data.licences:
        sources = [[track for track in tracks if track.licence in plan.data.licences] for tracks in sources]
        if not any(sources):
            raise OptionError(f"no track is under {', '.join(plan.data.licences)}")
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
    return any(fnmatch(track.name, pattern) for pattern in plan.data.held_out)


class _Run:
    """Everything that lives as long as the loop."""

    def __init__(
        self,
        plan: Plan,
        spec: MaskModelSpec,
        network: nn.Module,
        training: Shards,
        held_out: Shards | None,
        accelerator: Accelerator,
        watcher: Watcher,
    ) -> None:
        loop, process = plan.training, accelerator.process_index
        self.plan, self.spec, self.state = plan, spec, TrainingState()
        self._accelerator, self._watcher = accelerator, watcher
        self._frozen_norms = loop.frozen_norms if loop.frozen_norms is not None else plan.model.start is not None
        optimizer = _optimizer(network, loop)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = AveragedModel(network, multi_avg_fn=_averaging(loop.ema_decay)).to(accelerator.device)
        self._network, self._optimizer = accelerator.prepare(network, optimizer)
        self._compute = torch.compile(self._network) if loop.compile else self._network
        self._call = compiled() if loop.compile else plainly
        lesson = plan.distillation
        self._teacher = None if lesson is None else Teacher(lesson, spec, accelerator.device, loop.compile)
        self._transform = Transform(spec, accelerator.device)
        self._sampler = Sampler(
            training,
            spec.stems,
            segment_samples=segment_samples(spec, plan.data.segment_frames),
            batch_size=loop.batch_size,
            plan=plan.augmentation,
            seed=loop.seed,
            process=process,
        )
        self._augmentation = Augmentation(plan.augmentation, spec.stems, spec.sample_rate, loop.seed, process)
        validator = None
        if held_out is not None and accelerator.is_main_process:
            validator = Validator(held_out, spec, plan.data.validation_segments, accelerator.device)
        self._validator = validator if validator is not None and validator.is_possible else None
        self._operations = count_operations(network, replace(spec, n_frames=plan.data.segment_frames))
        self._description = spec_to_json(replace(spec, name="", weights=""))

    def resume(self) -> None:
        """Go on from the checkpoint in the output, if there is one."""
        state = load_checkpoint(self.plan.output, self._description)
        if state is None:
            return
        self.state = state
        tensors = state.tensors
        self._accelerator.unwrap_model(self._network).load_state_dict(tensors["network"])
        self._average.load_state_dict(tensors["average"])
        self._optimizer.load_state_dict(tensors["optimizer"])
        if self._accelerator.scaler is not None and tensors["scaler"] is not None:
            self._accelerator.scaler.load_state_dict(tensors["scaler"])

    def best_network(self) -> nn.Module:
        """The averaged weights of the best validation, or the last ones where there was none."""
        network = self._average.module
        if "best" in self.state.tensors:
            network.load_state_dict(self.state.tensors["best"])
        return network

    def go(self, should_stop: Callable[[], bool]) -> bool:
        """Train to the end; whether it was reached."""
        loop, state = self.plan.training, self.state
        plain = self._accelerator.unwrap_model(self._network)
        n_parameters = sum(parameter.numel() for parameter in plain.parameters())
        self._watcher.started(self.spec, n_parameters, state.step, loop.steps)
        clock = _Clock(loop, state)
        batches = self._sampler.batches(state.step)
        with self._journal() as journal:
            while state.step < loop.steps and not self._is_exhausted():
                loss = self._step(next(batches))
                state.step += 1
                if state.step % loop.log_every_steps == 0 or state.step == loop.steps:
                    step = self._report(float(loss), clock)
                    self._watcher.step(step)
                    if journal is not None:
                        journal.step(step.number, {"loss": step.loss, "learning_rate": step.learning_rate})
                if state.step % loop.validate_every_steps == 0 or state.step == loop.steps:
                    self._validate(journal, clock)
                stops = self._agreed(should_stop() or clock.is_over())
                if stops or clock.checkpoint_is_due():
                    self._save(clock)
                if stops and state.step < loop.steps:
                    return False
        self._save(clock)
        return True

    def _step(self, batch: object) -> Tensor:
        state, loop = self.state, self.plan.training
        # Dropout, too, follows from seed and step alone.
        torch.manual_seed(loop.seed * 1_000_003 + state.step * 64 + self._accelerator.process_index)
        rate = learning_rate(state.step, loop)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._network.train()
        if self._frozen_norms:
            freeze_norms(self._network)
        with torch.no_grad():
            stems = torch.from_numpy(batch).to(self._accelerator.device, non_blocking=True)
            taken = self._augmentation.taken(len(stems), state.step).to(stems.device)
            stems = self._augmentation(stems, state.step) * ~taken[..., None, None]
            truth = Truth(self._transform, stems.transpose(0, 1), self._call)
            mixture = truth.mixture
        with self._accelerator.autocast():
            magnitudes = self._compute(mixture.to(memory_format=torch.channels_last)).float()
            taught = None if self._teacher is None else self._teacher.estimates(mixture)
        if self.plan.augmentation.taken:
            magnitudes = self._call(without, magnitudes, mixture, taken)
            taught = None if taught is None else self._call(without, taught, mixture, taken)
        estimate = Estimate(truth, magnitudes)
        if self._teacher is None or taught is None:
            loss = weighted_loss(estimate, self.plan.loss)
        else:
            loss = self._teacher.mixed_loss(estimate, taught, self.plan.loss)
        self._optimizer.zero_grad()
        self._accelerator.backward(loss)
        self._accelerator.clip_grad_norm_(self._network.parameters(), loop.clip_norm)
        self._optimizer.step()
        self._average.update_parameters(self._accelerator.unwrap_model(self._network))
        detached: Tensor = loss.detach()
        return detached

    def _report(self, loss: float, clock: _Clock) -> Step:
        loop = self.plan.training
        if not math.isfinite(loss):
            raise OptionError(f"the loss is {loss} at step {self.state.step}; try a smaller learning_rate")
        seconds = clock.seconds_per_step(self.state.step)
        segments = loop.batch_size * self._accelerator.num_processes / seconds
        segment_seconds = self.plan.data.segment_frames * self.spec.hop_length / self.spec.sample_rate
        flops = segments * segment_seconds * self._operations * TRAINING_PER_FORWARD
        left = seconds * (loop.steps - self.state.step)
        return Step(self.state.step, loss, learning_rate(self.state.step, loop), segments, flops / 1e9, left)

    def _validate(self, journal: Journal | None, clock: _Clock) -> None:
        if self._validator is None:
            return
        state = self.state
        validation = self._validator.validate(self._average.module)
        is_best = validation.mean_sdr_db > state.best_sdr_db
        state.n_without_gain = 0 if is_best else state.n_without_gain + 1
        if is_best:
            state.best_sdr_db, state.best_step = validation.mean_sdr_db, state.step
            state.tensors["best"] = {k: v.detach().clone() for k, v in self._average.module.state_dict().items()}
        state.curve.append({"step": state.step, "seconds": clock.seconds(), "sdr_db": validation.sdr_db})
        self._watcher.validated(state.step, validation, is_best)
        if journal is not None:
            journal.validation(state.step, validation)

    def _is_exhausted(self) -> bool:
        patience = self.plan.training.patience
        return self._agreed(bool(patience) and self.state.n_without_gain >= patience)

    def _agreed(self, wish: bool) -> bool:
        """Whether any process wishes it: all must leave the loop at the same step."""
        if self._accelerator.num_processes == 1:
            return wish
        votes: Tensor = self._accelerator.reduce(torch.tensor(float(wish), device=self._accelerator.device))
        return bool(votes > 0)

    def _save(self, clock: _Clock) -> None:
        self.state.seconds = clock.seconds()
        if not self._accelerator.is_main_process:
            return
        scaler = self._accelerator.scaler
        self.state.tensors.update(
            network=self._accelerator.unwrap_model(self._network).state_dict(),
            average=self._average.state_dict(),
            optimizer=self._optimizer.state_dict(),
            scaler=None if scaler is None else scaler.state_dict(),
        )
        save_checkpoint(self.state, self._description, self.plan.output)

    @contextmanager
    def _journal(self) -> Iterator[Journal | None]:
        if not self._accelerator.is_main_process:
            yield None
            return
        journal = Journal(self.plan.output / "journal", self.spec.sample_rate)
        try:
            yield journal
        finally:
            journal.close()


class _Clock:
    """Times of one run of the loop."""

    def __init__(self, loop: LoopPlan, state: TrainingState) -> None:
        self._loop = loop
        self._before = state.seconds
        self._started = self._saved = self._reported = time.monotonic()
        self._reported_step = state.step

    def seconds(self) -> float:
        """Of training, over all runs."""
        return self._before + time.monotonic() - self._started

    def is_over(self) -> bool:
        """Whether this run has had its time."""
        limit = self._loop.max_minutes
        return limit is not None and time.monotonic() - self._started >= 60 * limit

    def checkpoint_is_due(self) -> bool:
        """Whether it is time to save; the time is then counted anew."""
        if time.monotonic() - self._saved < 60 * self._loop.checkpoint_minutes:
            return False
        self._saved = time.monotonic()
        return True

    def seconds_per_step(self, step: int) -> float:
        """Since the last time it was asked."""
        now = time.monotonic()
        seconds = (now - self._reported) / max(1, step - self._reported_step)
        self._reported, self._reported_step = now, step
        return max(seconds, 1e-9)


def learning_rate(step: int, loop: LoopPlan) -> float:
    """Linear warm-up, then half a cosine down to the final rate (I. Loshchilov, F. Hutter, arXiv 1608.03983, eq. 5)."""
    if step < loop.warm_up_steps:
        return loop.learning_rate * (step + 1) / loop.warm_up_steps
    share = (step - loop.warm_up_steps) / max(1, loop.steps - loop.warm_up_steps)
    span = loop.learning_rate - loop.final_learning_rate
    return loop.final_learning_rate + span * (1 + math.cos(math.pi * min(1.0, share))) / 2


def without(magnitudes: Tensor, mixture: Tensor, taken: Tensor) -> Tensor:
    """Estimates (stems, segments, …) with the share of stems ``taken`` before (segments, stems) given to the others.

    What is left of a softmax when a stem is struck out of it: a model that gets the mixture without its vocals can be
    told so, and need not look for any.
    """
    kept = magnitudes * ~taken.T[..., None, None, None]
    return kept * (mixture / (kept.sum(0) + 1e-8))


def freeze_norms(network: nn.Module) -> None:
    """Batch norms that keep their statistics, as the original has them all through its training: mean 0, variance 1."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _optimizer(network: nn.Module, loop: LoopPlan) -> torch.optim.Optimizer:
    parameters = list(network.parameters())
    if loop.optimizer == "adam":
        return torch.optim.Adam(parameters, loop.learning_rate)
    if loop.optimizer == "adamw":
        return torch.optim.AdamW(parameters, loop.learning_rate, weight_decay=loop.weight_decay)
    if loop.optimizer == "muon":
        return Muon(parameters, loop.learning_rate, loop.weight_decay)
    if loop.optimizer == "sgd":
        return torch.optim.SGD(parameters, loop.learning_rate)
    return torch.optim.Adadelta(parameters, loop.learning_rate)


def _averaging(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """The exponential moving average, quicker in the first steps, when the weights are far from any average."""

    @torch.no_grad()
    def average(averages: Sequence[Tensor], current: Sequence[Tensor], n_averaged: Tensor | int) -> None:
        n = float(n_averaged)
        torch._foreach_lerp_(list(averages), list(current), 1 - min(decay, (1 + n) / (10 + n)))

    return average
