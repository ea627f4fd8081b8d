"""Two networks in a row, in PyTorch: see `unweave.engines.cascade`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-6  # in half precision, too


class Cascade(nn.Module):
    """Magnitudes (segments, channels, frames, bins) → (stems, …): the first network's first stem, then the second's."""

    def __init__(self, first: nn.Module, second: nn.Module, exponent: float) -> None:
        super().__init__()
        self._first, self._second, self._exponent = first, second, exponent

    def forward(self, magnitudes: Tensor) -> Tensor:
        """See the class."""
        powers = self._first(magnitudes).float() ** self._exponent
        rest = magnitudes * (powers[1] / (powers.sum(0) + EPSILON)).to(magnitudes.dtype)
        others = self._second(rest)[1:]
        others = others * (rest / (others.sum(0) + EPSILON))
        return torch.cat([(magnitudes - rest)[None], others])
