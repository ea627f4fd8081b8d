"""MDX23C in PyTorch, for graphics processors: every part is called as in published checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unweave.families.mdx23c.spec import Mdx23cSpec


class Mdx23c(nn.Module):
    """Spectra in subbands (segments, 4 · subbands, frames, bins) → (segments, stems · 4 · subbands, frames, bins).

    Load a checkpoint with ``strict=True``.
    """

    def __init__(self, spec: Mdx23cSpec) -> None:
        super().__init__()
        channels, growth, rows = spec.n_channels, spec.growth, spec.n_bins // spec.n_subbands
        self.first_conv = nn.Conv2d(spec.n_inputs, channels, 1, bias=False)
        self.encoder_blocks = nn.ModuleList()
        for _ in range(spec.n_scales):
            level = nn.Module()
            level.tfc_tdf = Blocks(spec, channels, channels, rows)
            resize = nn.Conv2d(channels, channels + growth, spec.scale, spec.scale, bias=False)
            level.downscale = Resized(spec, channels, resize)
            self.encoder_blocks.append(level)
            channels, rows = channels + growth, rows // spec.scale[1]
        self.bottleneck_block = Blocks(spec, channels, channels, rows)
        self.decoder_blocks = nn.ModuleList()
        for _ in range(spec.n_scales):
            level = nn.Module()
            enlarge = nn.ConvTranspose2d(channels, channels - growth, spec.scale, spec.scale, bias=False)
            level.upscale = Resized(spec, channels, enlarge)
            channels, rows = channels - growth, rows * spec.scale[1]
            level.tfc_tdf = Blocks(spec, 2 * channels, channels, rows)
            self.decoder_blocks.append(level)
        self.final_conv = nn.Sequential(
            nn.Conv2d(channels + spec.n_inputs, channels, 1, bias=False),
            _activation(spec),
            nn.Conv2d(channels, len(spec.stems) * spec.n_inputs, 1, bias=False),
        )

    def forward(self, spectrum: Tensor) -> Tensor:
        """See the class."""
        first = x = self.first_conv(spectrum)
        skips = []
        for level in self.encoder_blocks:
            x = level.tfc_tdf(x)  # type: ignore[operator]
            skips.append(x)
            x = level.downscale(x)  # type: ignore[operator]
        x = self.bottleneck_block(x)
        for level in self.decoder_blocks:
            x = torch.cat([level.upscale(x), skips.pop()], dim=1)  # type: ignore[operator]
            x = level.tfc_tdf(x)  # type: ignore[operator]
        out: Tensor = self.final_conv(torch.cat([spectrum, x * first], dim=1))
        return out


class Resized(nn.Module):
    """Norm, activation and a convolution to another number of frames and bins."""

    def __init__(self, spec: Mdx23cSpec, channels: int, convolution: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Sequential(_norm(spec, channels), _activation(spec), convolution)

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, frames, bins) → the same axes."""
        out: Tensor = self.conv(x)
        return out


class Block(nn.Module):
    """Two convolutions and, between them, linear maps along the bins, added."""

    def __init__(self, spec: Mdx23cSpec, n_in: int, n_out: int, rows: int) -> None:
        super().__init__()
        fewer = rows // spec.bottleneck_factor

        def before(channels: int) -> tuple[nn.Module, nn.Module]:
            return _norm(spec, channels), _activation(spec)

        self.tfc1 = nn.Sequential(*before(n_in), nn.Conv2d(n_in, n_out, 3, padding=1, bias=False))
        self.tdf = nn.Sequential(
            *before(n_out),
            nn.Linear(rows, fewer, bias=False),
            *before(n_out),
            nn.Linear(fewer, rows, bias=False),
        )
        self.tfc2 = nn.Sequential(*before(n_out), nn.Conv2d(n_out, n_out, 3, padding=1, bias=False))
        self.shortcut = nn.Conv2d(n_in, n_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, frames, bins) → the same axes."""
        hidden = self.tfc1(x)
        out: Tensor = self.tfc2(hidden + self.tdf(hidden)) + self.shortcut(x)
        return out


class Blocks(nn.Module):
    """The blocks of one level."""

    def __init__(self, spec: Mdx23cSpec, n_in: int, n_out: int, rows: int) -> None:
        super().__init__()
        widths = [n_in, *[n_out] * (spec.n_blocks - 1)]
        self.blocks = nn.ModuleList(Block(spec, width, n_out, rows) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, frames, bins) → the same axes."""
        for block in self.blocks:
            x = block(x)
        return x


def _norm(spec: Mdx23cSpec, channels: int) -> nn.Module:
    if spec.norm == "InstanceNorm":
        return nn.InstanceNorm2d(channels, affine=True)
    if spec.norm == "BatchNorm":
        return nn.BatchNorm2d(channels)
    if spec.norm:
        return nn.GroupNorm(int(spec.norm.removeprefix("GroupNorm")), channels)
    return nn.Identity()


def _activation(spec: Mdx23cSpec) -> nn.Module:
    if spec.activation == "gelu":
        return nn.GELU()
    return nn.ReLU() if spec.activation == "relu" else nn.ELU(float(spec.activation.removeprefix("elu")))
