"""How weights move: the optimizer, its learning rate, and the moving average of what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from unweave.training.muon import Muon
from unweave.training.plan import LoopPlan


def new_optimizer(network: nn.Module, loop: LoopPlan) -> torch.optim.Optimizer:
    """The optimizer that ``loop`` names, for all parameters of ``network``."""
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


def learning_rate(step: int, loop: LoopPlan) -> float:
    """Linear warm-up, then half a cosine down to the final rate (I. Loshchilov, F. Hutter, arXiv 1608.03983, eq. 5)."""
    if step < loop.warm_up_steps:
        return loop.learning_rate * (step + 1) / loop.warm_up_steps
    share = (step - loop.warm_up_steps) / max(1, loop.steps - loop.warm_up_steps)
    span = loop.learning_rate - loop.final_learning_rate
    return loop.final_learning_rate + span * (1 + math.cos(math.pi * min(1.0, share))) / 2


def moving_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """The exponential moving average, quicker in the first steps, when the weights are far from any average."""

    @torch.no_grad()
    def average(averages: Sequence[Tensor], current: Sequence[Tensor], n_averaged: Tensor | int) -> None:
        n = float(n_averaged)
        torch._foreach_lerp_(list(averages), list(current), 1 - min(decay, (1 + n) / (10 + n)))

    return average
