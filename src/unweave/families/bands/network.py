"""One network for all stems, over split bands, in PyTorch.

An encoder and decoder as in the U-Net, on a spectrum whose low band keeps every bin and whose upper bands are cut more
coarsely, as in SCNet (W. Tong et al., "SCNet: sparse compression network for music source separation", ICASSP 2024).
Every level mixes all frequencies at once by two small matrices, the "time-distributed fully-connected" block of W. Choi
et al., "Investigating U-Nets with various intermediate blocks for spectrogram-based singing voice separation", ISMIR
2020, which DTTNet (arXiv 2309.08684) and Moises-Light (arXiv 2510.06785) keep. The stems compete in a softmax, so that
their masks sum to one and a stem that is not there can be silent. All segments are heard at one level, so that soft
music is separated as loud music is. On the lowest level each frame may attend to all others, the full-band attention of
TF-GridNet (Z.-Q. Wang et al., arXiv 2211.12433), so that a hit or a note can be told by those like it seconds away.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from unweave.families.bands.layout import BOTTLENECK, FRAMES_PER_CELL, N_HEADS, QUERY_WIDTH, SOFTEST, Band, bands_of
from unweave.models.spec import MaskModelSpec


class BandNet(nn.Module):
    """Magnitudes (segments, channels, frames, bins) → (stems, …): estimates that sum to the mixture's magnitudes."""

    def __init__(self, spec: MaskModelSpec) -> None:
        super().__init__()
        self.n_stems = len(spec.stems)
        self.n_channels = spec.n_channels
        self.bands = bands_of(spec.n_bins)
        widths = spec.n_filters
        cells = [spec.n_bins * 5 // 32 // 2**level for level in range(len(widths))]
        self.gain = nn.Parameter(torch.ones(spec.n_bins))
        self.shift = nn.Parameter(torch.zeros(spec.n_bins))
        self.split = nn.ModuleList(_cut(band, spec.n_channels, widths[0]) for band in self.bands)
        self.encoder = nn.ModuleList(Block(width, n) for width, n in zip(widths, cells, strict=True))
        self.attention = TimeAttention(widths[-1], cells[-1]) if spec.time_attention else nn.Identity()
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList(Block(width, n) for width, n in zip(widths[:-1], cells[:-1], strict=True))
        n_masks = self.n_stems * spec.n_channels * FRAMES_PER_CELL
        self.join = nn.ModuleList(
            nn.Conv2d(widths[0], n_masks * band.bins_per_cell // band.bins_per_mask, 1) for band in self.bands
        )

    def forward(self, magnitudes: Tensor) -> Tensor:
        """See the class; frames must be a multiple of 2 to the number of levels."""
        # Fourth roots bring loud and quiet bins into one range; two square roots are faster than a power.
        heard = magnitudes / _level(magnitudes).to(magnitudes.dtype)
        seen = heard.clamp_min(1e-8).sqrt().sqrt() * self.gain + self.shift
        x = torch.cat(
            [cut(seen[..., band.start : band.stop]) for cut, band in zip(self.split, self.bands, strict=True)], dim=-1
        )
        skips = []
        for block, down in zip(self.encoder[:-1], self.down, strict=True):
            skips.append(block(x))
            x = down(skips[-1])
        x = self.attention(self.encoder[-1](x))
        for up, block, skip in zip(reversed(self.up), reversed(self.decoder), reversed(skips), strict=True):
            x = block(nn.functional.pixel_shuffle(up(x), 2) + skip)
        return torch.cat(list(self._estimates(x, magnitudes)), dim=-1)

    def _estimates(self, x: Tensor, magnitudes: Tensor) -> Iterator[Tensor]:
        """(segments, width, cells in time, in frequency) → each band's (stems, segments, channels, frames, bins)."""
        start = 0
        for join, band in zip(self.join, self.bands, strict=True):
            part = join(x[..., start : start + band.n_cells])
            n_frames, n_masks = x.shape[-2], band.bins_per_cell // band.bins_per_mask
            masks = _softmax(
                part.reshape(-1, self.n_stems, self.n_channels * FRAMES_PER_CELL * n_masks, n_frames, band.n_cells)
            )
            masks = masks.reshape(-1, self.n_stems, self.n_channels, FRAMES_PER_CELL, n_masks, n_frames, band.n_cells)
            # time: (cells, frames per cell); frequency: (cells, masks per cell); bins of one mask by broadcasting
            masks = masks.permute(1, 0, 2, 5, 3, 6, 4).reshape(
                self.n_stems, -1, self.n_channels, n_frames * FRAMES_PER_CELL, band.n_cells * n_masks, 1
            )
            seen = magnitudes[..., band.start : band.stop]
            bins = seen.reshape(*seen.shape[:-1], band.n_cells * n_masks, band.bins_per_mask)
            yield (masks * bins).flatten(-2)
            start += band.n_cells


class Block(nn.Module):
    """Two convolutions and the mixing of all frequencies, each added to its input."""

    def __init__(self, width: int, n_cells: int) -> None:
        super().__init__()
        self.local = nn.Sequential(*_convolution(width), *_convolution(width))
        self.mix = nn.Sequential(
            nn.Linear(n_cells, n_cells // BOTTLENECK, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Linear(n_cells // BOTTLENECK, n_cells, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(segments, width, cells in time, cells in frequency), the same shape out."""
        x = x + self.local(x)
        mixed: Tensor = x + self.mix(x)
        return mixed


class TimeAttention(nn.Module):
    """Attention over time, each frame with all its frequencies one token, added to its input; at first it adds nothing.

    No position is told: segments of any length will do.
    """

    def __init__(self, width: int, n_cells: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(width, N_HEADS * QUERY_WIDTH, 1)
        self.key = nn.Conv2d(width, N_HEADS * QUERY_WIDTH, 1)
        self.value = nn.Conv2d(width, width, 1)
        self.query_norm = nn.LayerNorm(QUERY_WIDTH * n_cells)
        self.key_norm = nn.LayerNorm(QUERY_WIDTH * n_cells)
        self.out = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(segments, width, cells in time, cells in frequency), the same shape out."""
        query, key = self.query_norm(_tokens(self.query(x))), self.key_norm(_tokens(self.key(x)))
        value = _tokens(self.value(x))
        scores = query.float() @ key.float().transpose(-2, -1) / query.shape[-1] ** 0.5
        heard = torch.softmax(scores, dim=-1).to(value.dtype) @ value
        n_segments, width, n_frames, n_cells = x.shape
        heard = heard.reshape(n_segments, N_HEADS, n_frames, width // N_HEADS, n_cells)
        attended: Tensor = x + self.out(heard.transpose(2, 3).flatten(1, 2))
        return attended


def _tokens(x: Tensor) -> Tensor:
    """(segments, heads · width, frames, cells) → (segments, heads, frames, width · cells)."""
    n_segments, width, n_frames, n_cells = x.shape
    return x.reshape(n_segments, N_HEADS, width // N_HEADS, n_frames, n_cells).transpose(2, 3).flatten(3)


def _level(magnitudes: Tensor) -> Tensor:
    """(segments, 1, 1, 1): each segment's root mean square, frames weighted by power, so that pauses do not count."""
    power = magnitudes.float().square().mean((1, 3), keepdim=True)
    weighted = power.square().sum(2, keepdim=True) / power.sum(2, keepdim=True).clamp_min(SOFTEST**2)
    return weighted.sqrt().clamp_min(SOFTEST)


def _softmax(x: Tensor) -> Tensor:
    """Over axis 1, in simple steps: ONNX Runtime's own softmax is slow on all axes but the last."""
    x = x.float()
    powers = torch.exp(x - x.amax(1, keepdim=True))
    return powers / powers.sum(1, keepdim=True)


def _cut(band: Band, n_channels: int, width: int) -> nn.Conv2d:
    size = (FRAMES_PER_CELL, band.bins_per_cell)
    return nn.Conv2d(n_channels, width, size, stride=size)


def _convolution(width: int) -> list[nn.Module]:
    return [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
