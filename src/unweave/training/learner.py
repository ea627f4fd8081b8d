"""The network while it learns: one step at a time, its moving average, and all that a checkpoint keeps of them."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from unweave.models.spec import MaskModelSpec
from unweave.training.augmentation import Augmentation
from unweave.training.checkpoint import all_finite
from unweave.training.distillation import Teacher
from unweave.training.losses import Estimate, Truth, compiled, plainly, weighted_loss
from unweave.training.optimizers import learning_rate, moving_average, new_optimizer
from unweave.training.plan import Plan
from unweave.training.spectrum import Transform

LARGEST_ERROR = 0.25  # of gradients in bfloat16, computed in two ways; usually a few hundredths

log = logging.getLogger(__name__)


class Learner:
    """A network, its optimizer and the moving average of its weights."""

    def __init__(self, plan: Plan, spec: MaskModelSpec, network: nn.Module, accelerator: Accelerator) -> None:
        loop, process = plan.training, accelerator.process_index
        self._plan, self._accelerator = plan, accelerator
        self._frozen_norms = loop.frozen_norms if loop.frozen_norms is not None else plan.model.start is not None
        if accelerator.num_processes > 1:
            freeze_unused(network, replace(spec, n_frames=plan.data.segment_frames))
        optimizer = new_optimizer(network, loop)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = AveragedModel(network, multi_avg_fn=moving_average(loop.ema_decay)).to(accelerator.device)
        self._network, self._optimizer = accelerator.prepare(network, optimizer)
        self._compute = torch.compile(self._network) if loop.compile else self._network
        self._is_trusted = not loop.compile or accelerator.device.type != "cpu"
        self._call = compiled() if loop.compile else plainly
        lesson = plan.distillation
        n_frames = plan.data.segment_frames
        self._teacher = None if lesson is None else Teacher(lesson, spec, n_frames, accelerator.device, loop.compile)
        self._transform = Transform(spec, accelerator.device)
        self._augmentation = Augmentation(plan.augmentation, spec.stems, spec.sample_rate, loop.seed, process)
        self._has_finite_losses = torch.ones((), dtype=torch.bool, device=accelerator.device)
        self._last_mixture: Tensor | None = None  # of one segment

    @property
    def n_parameters(self) -> int:
        """How many weights the network has."""
        return sum(parameter.numel() for parameter in self._plain.parameters())

    @property
    def average(self) -> nn.Module:
        """The network with averaged weights."""
        return self._average.module

    @property
    def _plain(self) -> nn.Module:
        """The network without what joins the processes."""
        plain: nn.Module = self._accelerator.unwrap_model(self._network)
        return plain

    def learn(self, batch: object, step: int) -> Tensor:
        """Make step number ``step`` with the stems ``batch`` (segments, stems, channels, samples); returns the loss."""
        loop = self._plan.training
        # Dropout, too, follows from seed and step alone.
        torch.manual_seed(loop.seed * 1_000_003 + step * 64 + self._accelerator.process_index)
        rate = learning_rate(step, loop)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._network.train()
        if self._frozen_norms:
            freeze_norms(self._network)
        with torch.no_grad():
            stems = torch.from_numpy(batch).to(self._accelerator.device, non_blocking=True)
            taken = self._augmentation.taken(len(stems), step).to(stems.device)
            stems = self._augmentation(stems, step) * ~taken[..., None, None]
            truth = Truth(self._transform, stems.transpose(0, 1), self._call)
            mixture = truth.mixture
            self._last_mixture = mixture[:1]
        if not self._is_trusted:
            self._check_compiled(mixture)
        with self._accelerator.autocast():
            magnitudes = self._compute(mixture.to(memory_format=torch.channels_last)).float()
            taught = None if self._teacher is None else self._teacher.estimates(mixture)
        if self._plan.augmentation.taken:
            magnitudes = self._call(without, magnitudes, mixture, taken)
            taught = None if taught is None else self._call(without, taught, mixture, taken)
        estimate = Estimate(truth, magnitudes)
        if self._teacher is None or taught is None:
            loss = weighted_loss(estimate, self._plan.loss)
        else:
            loss = self._teacher.mixed_loss(estimate, taught, self._plan.loss)
        self._optimizer.zero_grad()
        self._accelerator.backward(loss)
        self._accelerator.clip_grad_norm_(self._network.parameters(), loop.clip_norm)
        self._optimizer.step()
        self._average.update_parameters(self._plain)
        detached: Tensor = loss.detach()
        # On the device: looking at each loss would make the processor wait for it.
        self._has_finite_losses &= torch.isfinite(detached)
        return detached

    def _check_compiled(self, mixture: Tensor) -> None:
        """Compute without compiling from now on, if the compiled network does not learn what the plain one does.

        PyTorch 2.13 makes gradients of NaN from our own network in bfloat16 on processors with matrix units.
        """
        true, compiled = (self._gradients(compute, mixture) for compute in (self._network, self._compute))
        norms = torch.stack([torch.linalg.vector_norm(compiled - true), torch.linalg.vector_norm(true)])
        error, scale = self._accelerator.reduce(norms, "sum")  # so that all processes decide alike
        if scale == 0 or not torch.isfinite(scale):
            return  # silence teaches nothing: the next step will tell
        self._is_trusted = True
        has_dropout = any(isinstance(module, nn.Dropout) for module in self._plain.modules())  # drawn anew
        if not torch.isfinite(error) or (error > LARGEST_ERROR * scale and not has_dropout):
            log.warning("PyTorch compiles this network wrongly on this machine, so it is trained without compiling")
            self._compute = self._network

    def _gradients(self, compute: Callable[..., Tensor], mixture: Tensor) -> Tensor:
        """Of all weights, one after the other; nothing of the network changes."""
        state = copy.deepcopy(self._plain.state_dict())
        with self._accelerator.autocast(), torch.random.fork_rng():
            power = compute(mixture.to(memory_format=torch.channels_last)).float().square().mean()
        parameters = [parameter for parameter in self._plain.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(power, parameters, allow_unused=True, materialize_grads=True)
        self._plain.load_state_dict(state)  # norms have seen the mixture
        return torch.cat([gradient.flatten() for gradient in gradients])

    def has_finite_losses(self) -> bool:
        """Whether every loss so far, of this process, was a number."""
        return bool(self._has_finite_losses)

    def is_sound(self) -> bool:
        """Whether every loss so far was a number, every weight is, and so is what the networks make of a segment.

        A step whose loss was finite may still have broken the weights, or made them so large that the next loss is not.
        """
        return self.has_finite_losses() and all_finite(self.tensors()) and self._has_finite_estimates()

    @torch.no_grad()
    def _has_finite_estimates(self) -> bool:
        if self._last_mixture is None:
            return True
        for network in (self._plain, self.average):
            was_training = network.training
            network.eval()  # neither norms nor random numbers are moved by this
            with self._accelerator.autocast():
                estimates = network(self._last_mixture)
            network.train(was_training)
            if not all_finite(estimates):
                return False
        return True

    def tensors(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        scaler = self._accelerator.scaler
        return {
            "network": self._plain.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "optimizer_kind": self._plan.training.optimizer,
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load(self, tensors: dict[str, Any]) -> None:
        """Go on from the `tensors` of a checkpoint, with the plan's settings. Raises ValueError if they do not fit."""
        kind, known = self._plan.training.optimizer, tensors.get("optimizer_kind")
        if known not in (None, kind):
            raise ValueError(f"the optimizer was {known}, and the plan says {kind}")
        self._plain.load_state_dict(tensors["network"])
        self._average.load_state_dict(tensors["average"])
        settings = [{key: value for key, value in group.items() if key != "params"} for group in self._groups()]
        self._optimizer.load_state_dict(tensors["optimizer"])
        for group, chosen in zip(self._groups(), settings, strict=True):
            group.update(chosen)  # PyTorch would keep the old plan's
        if self._accelerator.scaler is not None and tensors["scaler"] is not None:
            self._accelerator.scaler.load_state_dict(tensors["scaler"])

    def _groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self._optimizer.param_groups
        return groups


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


def freeze_unused(network: nn.Module, spec: MaskModelSpec) -> list[str]:
    """Take the parameters that no output depends on out of training; returns their names.

    The original's U-Net has such: the norm after its deepest layer is computed for nothing. An optimizer passes over
    them anyway, but processes that train together would wait for their gradients.
    """
    was_training = network.training
    network.eval()  # neither norms nor dropout are moved by this
    device = next(network.parameters()).device
    segment: Tensor = torch.ones(1, spec.n_channels, spec.n_frames, spec.n_bins, device=device)
    parameters = {name: each for name, each in network.named_parameters() if each.requires_grad}
    with torch.enable_grad():
        gradients = torch.autograd.grad(network(segment).sum(), list(parameters.values()), allow_unused=True)
    network.train(was_training)
    unused = [name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None]
    for name in unused:
        parameters[name].requires_grad_(False)
    return unused
