"""Muon turns every matrix alike, and learns."""

import pytest
import torch
from torch import nn

from unweave.training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(16, 16), (8, 64), (64, 8)])
def test_all_singular_values_come_to_about_one(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape) * 1e-3
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_a_step_is_as_large_as_adams_and_turns_kernels_as_matrices():
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.zeros(8, 4, 3, 3))
    bias = nn.Parameter(torch.zeros(8))
    optimizer = Muon([kernel, bias], lr=0.1, weight_decay=0.0)
    kernel.grad, bias.grad = torch.randn_like(kernel), torch.ones_like(bias)
    optimizer.step()
    values = torch.linalg.svdvals(kernel.detach().flatten(1))
    assert values.min() > 0.5 * values.max()
    size = float(kernel.detach().square().mean().sqrt())
    assert 0.1 * 0.2 * 0.5 < size < 0.1 * 0.2 * 1.3
    torch.testing.assert_close(bias.detach(), torch.full((8,), -0.1))  # Adam's first step


def test_it_learns_a_map_of_uneven_directions():
    torch.manual_seed(1)
    target = torch.randn(32, 32) @ torch.diag(torch.logspace(0, -2, 32))
    network, inputs = nn.Linear(32, 32), torch.randn(512, 32)
    optimizer = Muon(network.parameters(), 0.1, 0.0)
    losses = []
    for _ in range(150):
        loss = (network(inputs) - inputs @ target.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.01 * losses[0]
