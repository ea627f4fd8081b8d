"""Two networks in a row, in PyTorch: see `unweave.engines.cascade`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unweave.dsp.masks import EPSILON

HALF_EPSILON = 1e-6  # for numbers that may be in half precision


class Cascade(nn.Module):
    """Magnitudes (segments, channels, frames, bins) → (stems, …): the first network's first stem, then the second's."""

    def __init__(self, first: nn.Module, second: nn.Module, exponent: float, n_bins: int) -> None:
        super().__init__()
        self._first, self._second, self._exponent, self._n_bins = first, second, exponent, n_bins

    def forward(self, magnitudes: Tensor) -> Tensor:
        """See the class."""
        powers = self._first(magnitudes[..., : self._n_bins].contiguous()).float() ** self._exponent
        mask = (powers[1] + EPSILON / 2) / (powers.sum(0) + EPSILON)  # see `unweave.dsp.masks.ratio_masks`
        n_unseen = magnitudes.shape[-1] - mask.shape[-1]
        mask = torch.cat([mask, mask.mean(-1, keepdim=True).expand(*mask.shape[:-1], n_unseen)], -1)
        rest = magnitudes * mask.to(magnitudes.dtype)
        others = self._second(rest)[1:]
        others = others * (rest / (others.sum(0) + HALF_EPSILON))
        return torch.cat([(magnitudes - rest)[None], others])
