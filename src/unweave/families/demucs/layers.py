"""Layers in PyTorch that the networks of Demucs share, under the checkpoints' own names."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EPSILON = 1e-5  # of every norm, and of the level that the input is brought to


def normalised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A batch at a mean of zero and a level of one, each item by itself; and their own levels and means."""
    axes = tuple(range(1, x.dim()))
    mean, level = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
    return (x - mean) / (EPSILON + level), level, mean


class Scale(nn.Module):
    """A factor per channel; ``channels_last`` says where the channels are."""

    def __init__(self, n_channels: int, *, channels_last: bool) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((n_channels,), 1e-3))
        self._channels_last = channels_last

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x * (self.scale if self._channels_last else self.scale[:, None])


class Residual(nn.Module):
    """Dilated convolutions of few channels along time, added to their input; every row of frequencies on its own.

    ``between`` holds, for each layer, what works on its ``hidden`` channels besides.
    """

    def __init__(
        self, n_channels: int, hidden: int, depth: int, between: Sequence[Sequence[nn.Module]] | None = None
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(n_channels, hidden, 3, dilation=2**layer, padding=2**layer),
                nn.GroupNorm(1, hidden, EPSILON),
                nn.GELU(),
                *(between[layer] if between else ()),
                nn.Conv1d(hidden, 2 * n_channels, 1),
                nn.GroupNorm(1, 2 * n_channels, EPSILON),
                nn.GLU(1),
                Scale(n_channels, channels_last=False),
            )
            for layer in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, samples) or (batch, channels, rows, frames) → the same."""
        if x.dim() == 4:
            n_rows = x.shape[2]
            rows = self.forward(x.transpose(1, 2).flatten(0, 1))
            return rows.reshape(-1, n_rows, *rows.shape[1:]).transpose(1, 2)
        for layer in self.layers:
            x = x + layer(x)
        return x
