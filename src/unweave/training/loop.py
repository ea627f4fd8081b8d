"""The loop: batches in, steps, reports, validations and checkpoints, until it is done or told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from unweave.errors import OptionError
from unweave.families.torch_network import count_operations
from unweave.models.export import spec_to_json
from unweave.models.spec import MaskModelSpec
from unweave.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from unweave.training.journal import Journal
from unweave.training.learner import Learner
from unweave.training.optimizers import learning_rate
from unweave.training.plan import LoopPlan, Plan
from unweave.training.sampler import Sampler
from unweave.training.shards import Shards
from unweave.training.spectrum import segment_samples
from unweave.training.validation import Validator
from unweave.training.watcher import Step, Watcher

TRAINING_PER_FORWARD = 3  # a step computes the forward pass, and twice as much for the two gradients


class Loop:
    """A training run in this process, which may be one of several that work on the same steps."""

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
        self.state = TrainingState()
        self._plan, self._spec = plan, spec
        self._accelerator, self._watcher = accelerator, watcher
        self._learner = Learner(plan, spec, network, accelerator)
        self._sampler = Sampler(
            training,
            spec.stems,
            segment_samples=segment_samples(spec, plan.data.segment_frames),
            batch_size=plan.training.batch_size,
            plan=plan.augmentation,
            seed=plan.training.seed,
            process=accelerator.process_index,
        )
        validator = None
        if held_out is not None and accelerator.is_main_process:
            validator = Validator(held_out, spec, plan.data.validation_segments, accelerator.device)
        self._validator = validator if validator is not None and validator.is_possible else None
        self._operations = count_operations(network, replace(spec, n_frames=plan.data.segment_frames))
        self._description = spec_to_json(replace(spec, name="", weights=""))
        self._saved_step = 0  # of the checkpoint in the output, 0: there is none of this run

    def resume(self) -> None:
        """Go on from the checkpoint in the output, if there is one. Raises `CheckpointError` and `OptionError`."""
        state = load_checkpoint(self._plan.output, self._description)
        if state is not None:
            try:
                self._learner.load(state.tensors)
            except (ValueError, KeyError, RuntimeError) as error:  # as PyTorch says that something does not fit
                raise OptionError(
                    f"the checkpoint in {self._plan.output} was made with another optimizer or other settings "
                    f"({' '.join(str(error).split())[:120]}); restore them, or start over with --restart"
                ) from error
            self.state, self._saved_step = state, state.step
            self._forget_best_of_others()

    def _forget_best_of_others(self) -> None:
        """The best on tracks that are no longer held out says nothing about the weights of today."""
        state = self.state
        name = "" if self._validator is None else self._validator.name
        if state.step < self._plan.training.steps and state.validated_on not in ("", name):
            state.best_sdr_db, state.best_step, state.n_without_gain = TrainingState.best_sdr_db, 0, 0
            state.tensors.pop("best", None)

    def best_network(self) -> nn.Module:
        """The averaged weights of the best validation, or the last ones where there was none."""
        network = self._learner.average
        if "best" in self.state.tensors:
            network.load_state_dict(self.state.tensors["best"])
        return network

    def run(self, should_stop: Callable[[], bool]) -> bool:
        """Train to the end; whether it was reached. Raises `OptionError` where the loss is no longer a number."""
        loop, state = self._plan.training, self.state
        self._watcher.started(self._spec, self._learner.n_parameters, state.step, loop.steps)
        clock = _Clock(loop, state)
        batches = self._sampler.batches(state.step)
        (is_exhausted,) = self._agreed(self._is_exhausted())
        with self._journal() as journal:
            while state.step < loop.steps and not is_exhausted:
                loss = self._learner.learn(next(batches), state.step)
                state.step += 1
                if state.step % loop.log_every_steps == 0 or state.step == loop.steps:
                    self._report(loss, journal, clock)
                if state.step % loop.validate_every_steps == 0 or state.step == loop.steps:
                    self._validate(journal, clock)
                stops, is_due, is_exhausted = self._agreed(
                    should_stop() or clock.is_over(),
                    self._accelerator.is_main_process and clock.checkpoint_is_due(),
                    self._is_exhausted(),
                )
                if stops or is_due:
                    self._save(clock)
                if stops and state.step < loop.steps and not is_exhausted:
                    return False
        self._save(clock)
        return True

    def _report(self, loss: Tensor, journal: Journal | None, clock: _Clock) -> None:
        loop, number = self._plan.training, self.state.step
        self._check(self._learner.has_finite_losses())
        seconds = clock.seconds_per_step(number)
        segments = loop.batch_size * self._accelerator.num_processes / seconds
        segment_seconds = self._plan.data.segment_frames * self._spec.hop_length / self._spec.sample_rate
        flops = segments * segment_seconds * self._operations * TRAINING_PER_FORWARD
        left = seconds * (loop.steps - number)
        step = Step(number, float(loss), learning_rate(number, loop), segments, flops / 1e9, left)
        self._watcher.step(step)
        if journal is not None:
            journal.step(step.number, {"loss": step.loss, "learning_rate": step.learning_rate})

    def _validate(self, journal: Journal | None, clock: _Clock) -> None:
        self._check(self._learner.is_sound())
        if self._validator is None:
            return
        state, average = self.state, self._learner.average
        validation = self._validator.validate(average)
        is_best = validation.mean_sdr_db > state.best_sdr_db
        state.n_without_gain = 0 if is_best else state.n_without_gain + 1
        if is_best:
            state.best_sdr_db, state.best_step = validation.mean_sdr_db, state.step
            state.validated_on = self._validator.name
            state.tensors["best"] = {name: tensor.detach().clone() for name, tensor in average.state_dict().items()}
        state.curve.append({"step": state.step, "seconds": clock.seconds(), "sdr_db": validation.sdr_db})
        self._watcher.validated(state.step, validation, is_best)
        if journal is not None:
            journal.validation(state.step, validation)

    def _is_exhausted(self) -> bool:
        patience = self._plan.training.patience
        return bool(patience) and self.state.n_without_gain >= patience

    def _agreed(self, *wishes: bool) -> tuple[bool, ...]:
        """For each of ``wishes``, whether any process has it: all must do the same at the same step."""
        if self._accelerator.num_processes == 1:
            return wishes
        votes = torch.tensor([float(wish) for wish in wishes], device=self._accelerator.device)
        return tuple(bool(vote > 0) for vote in self._accelerator.reduce(votes))

    def _check(self, is_sound: bool) -> None:
        """Raise `OptionError` unless the run is sound in all processes; the last checkpoint stays as it is."""
        (is_broken,) = self._agreed(not is_sound)
        if is_broken:
            start = f"step {self._saved_step}" if self._saved_step else "the beginning"
            raise OptionError(
                f"the loss or the weights are no longer finite numbers at step {self.state.step}; try a smaller "
                f"learning_rate: the same command then starts again from {start}"
            )

    def _save(self, clock: _Clock) -> None:
        self._check(self._learner.is_sound())
        self.state.seconds = clock.seconds()
        if not self._accelerator.is_main_process:
            return
        self.state.tensors.update(self._learner.tensors())
        save_checkpoint(self.state, self._description, self._plan.output)
        self._saved_step = self.state.step

    @contextmanager
    def _journal(self) -> Iterator[Journal | None]:
        if not self._accelerator.is_main_process:
            yield None
            return
        journal = Journal(self._plan.output / "journal", self._spec.sample_rate)
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
