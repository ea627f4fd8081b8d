"""Muon: every weight matrix takes a step of one size in all of its directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

# Of the odd polynomial whose repetition brings all singular values to about 1 (K. Jordan, "Muon", 2024).
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
REPETITIONS = 5
MOMENTUM = 0.95
LIKE_ADAM = 0.2  # times the root of the longer side: a step as large as Adam's (J. Liu et al., arXiv 2502.16982, eq. 4)


class Muon(torch.optim.AdamW):
    """Matrices and kernels of convolutions by Muon, each kernel as a matrix of its outputs; the rest by AdamW.

    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with Nesterov's momentum, and
    decay and step as in J. Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982), so that a learning rate
    that suits AdamW suits it too. PyTorch's own takes matrices alone.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        parameters = list(parameters)
        groups: list[dict[str, Any]] = [
            {"params": [weight for weight in parameters if (weight.ndim > 1) == is_matrix], "is_matrix": is_matrix}
            for is_matrix in (True, False)
        ]
        super().__init__([group for group in groups if group["params"]], lr=lr, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; the matrices' gradients are used up."""
        for group in self.param_groups:
            for weight in group["params"] if group["is_matrix"] else ():
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state.update(step=torch.tensor(0.0), momentum=torch.zeros_like(weight))  # AdamW expects a step
                state["step"] += 1
                momentum = state["momentum"]
                momentum.lerp_(weight.grad, 1 - MOMENTUM)
                ahead = weight.grad.lerp(momentum, MOMENTUM).flatten(1)
                turn = orthogonal(ahead) * (LIKE_ADAM * max(ahead.shape) ** 0.5)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(turn.reshape(weight.shape), alpha=-group["lr"])
                weight.grad = None  # AdamW leaves it alone
        loss: float | None = super().step(closure)
        return loss


def orthogonal(matrix: Tensor) -> Tensor:
    """(rows, columns) with all singular values brought to about 1 (0.7 to 1.2), by products of matrices alone."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    x: Tensor = matrix.float() / (matrix.float().norm() + 1e-7)
    for _ in range(REPETITIONS):
        square = x @ x.T
        x = LINEAR * x + (CUBIC * square + QUINTIC * square @ square) @ x
    return x
