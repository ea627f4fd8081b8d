"""SCNet in PyTorch, for graphics processors: every part is called as in published checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unweave.families.scnet.spec import MASK_WIDTH, PARTS, Band, ScnetSpec


class Scnet(nn.Module):
    """Spectra (segments, 4, bins, frames) → spectra, or masks, of each stem (segments, 4 · stems, bins, frames).

    The four are real and imaginary part of the left channel, then of the right one. Load a checkpoint with
    ``strict=True``.
    """

    def __init__(self, spec: ScnetSpec) -> None:
        super().__init__()
        levels = list(enumerate(spec.levels))
        self.masked = spec.masked
        self.encoder = nn.ModuleList(EncoderLevel(spec, level, bands) for level, bands in levels)
        self.separation_net = SeparationNet(spec)
        self.decoder = nn.ModuleList(
            nn.ModuleList((Fusion(spec.dims[level + 1]), Upsampling(spec, level, bands)))
            for level, bands in reversed(levels)
        )
        if spec.masked:
            n_numbers = PARTS * len(spec.stems)
            self.pos_embed_f = nn.Parameter(torch.zeros(1, PARTS, spec.n_bins, 1))
            self.mask_layer = nn.Sequential(
                nn.Conv2d(n_numbers, MASK_WIDTH, 3, padding=1),
                nn.GELU(),
                nn.Conv2d(MASK_WIDTH, n_numbers, 1),
                nn.Tanh(),
            )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        if self.masked:
            x = x + self.pos_embed_f
        skips = []
        for level in self.encoder:
            x, skip = level(x)
            skips.append(skip)
        x = self.separation_net(x)
        fusion: nn.Module
        upsampling: nn.Module
        for fusion, upsampling in self.decoder:  # type: ignore[misc]
            x = upsampling(fusion(x + skips.pop()))
        return self.mask_layer(x) if self.masked else x


class EncoderLevel(nn.Module):
    """Bands compressed and refined, then a convolution over all of them."""

    def __init__(self, spec: ScnetSpec, level: int, bands: tuple[Band, ...]) -> None:
        super().__init__()
        n_in, n_out = spec.dims[level : level + 2]
        self.sizes = [band.n_rows for band in bands]
        self.SDlayer = Downsampling(spec, n_in, n_out, bands)
        self.conv_modules = nn.ModuleList(
            ResidualModules(n_out, spec.hidden_widths[level], spec.conv_kernel, depth) for depth in spec.conv_depths
        )
        self.globalconv = nn.Conv2d(n_out, n_out, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(segments, channels, rows, frames) → what goes on down, and what the decoder gets."""
        bands = zip(self.conv_modules, self.SDlayer(torch.split(x, self.sizes, dim=2)), strict=True)
        skip = torch.cat([functional.gelu(modules(band)) for modules, band in bands], dim=2)
        return self.globalconv(skip), skip


class Downsampling(nn.Module):
    """A convolution along the frequencies for each band."""

    def __init__(self, spec: ScnetSpec, n_in: int, n_out: int, bands: tuple[Band, ...]) -> None:
        super().__init__()
        self.pads = [(0, 0, band.before, band.after) for band in bands]
        self.convs = nn.ModuleList(
            nn.Conv2d(n_in, n_out, (kernel, 1), (stride, 1))
            for kernel, stride in zip(spec.band_kernels, spec.band_strides, strict=True)
        )

    def forward(self, bands: tuple[Tensor, ...]) -> list[Tensor]:
        """(segments, channels, rows, frames) each → the same with fewer rows."""
        together = zip(self.convs, bands, self.pads, strict=True)
        return [conv(functional.pad(band, pad)) for conv, band, pad in together]


class ResidualModules(nn.Module):
    """Modules that each add something to their input, along the frames of every row by itself."""

    def __init__(self, channels: int, hidden: int, kernel: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, channels),
                nn.Conv1d(channels, 2 * hidden, kernel, padding=kernel // 2),
                nn.GLU(1),
                nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden),
                nn.GroupNorm(1, hidden),
                nn.SiLU(),
                nn.Conv1d(hidden, channels, 1),
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, rows, frames) → the same."""
        n_segments = len(x)
        rows = x.transpose(1, 2).flatten(0, 1)
        for layer in self.layers:
            rows = rows + layer(rows)
        return torch.unflatten(rows, 0, (n_segments, -1)).transpose(1, 2)


class SeparationNet(nn.Module):
    """Recurrent layers, every second of them on the spectrum over the frames."""

    def __init__(self, spec: ScnetSpec) -> None:
        super().__init__()
        self.dp_modules = nn.ModuleList(
            DualPath(spec.dims[-1] * (1 + layer % 2), spec.expand) for layer in range(spec.n_layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, rows, frames) → the same."""
        for index, module in enumerate(self.dp_modules):
            x = module(x).float()  # halves have no Fourier transform of any length
            if index % 2 == 0:
                spectrum = torch.fft.rfft(x, dim=3, norm="ortho")
                x = torch.cat([spectrum.real, spectrum.imag], dim=1)
            else:
                real, imaginary = x.chunk(2, dim=1)
                x = torch.fft.irfft(torch.complex(real, imaginary), dim=3, norm="ortho")
        return x


class DualPath(nn.Module):
    """Recurrence along the rows, then along the frames, each added to its input."""

    def __init__(self, width: int, expand: int) -> None:
        super().__init__()
        hidden = width * expand
        self.lstm_layers = nn.ModuleList(nn.LSTM(width, hidden, bidirectional=True, batch_first=True) for _ in range(2))
        self.linear_layers = nn.ModuleList(nn.Linear(2 * hidden, width) for _ in range(2))
        self.norm_layers = nn.ModuleList(nn.GroupNorm(1, width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, rows, frames) → the same."""
        orders = ((0, 3, 2, 1), (0, 2, 3, 1))  # to (segments, batch, steps, channels)
        backs = ((0, 3, 2, 1), (0, 3, 1, 2))
        for axis in range(2):
            steps = self.norm_layers[axis](x).permute(orders[axis])
            states, _ = self.lstm_layers[axis](steps.flatten(0, 1))
            added = self.linear_layers[axis](states).unflatten(0, steps.shape[:2])
            x = x + added.permute(backs[axis])
        return x


class Fusion(nn.Module):
    """A gated convolution that sees each channel twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, rows, frames) → the same."""
        return functional.glu(self.conv(torch.cat([x, x], dim=1)), dim=1)


class Upsampling(nn.Module):
    """A transposed convolution along the frequencies for each band, cut to the rows that the band had."""

    def __init__(self, spec: ScnetSpec, level: int, bands: tuple[Band, ...]) -> None:
        super().__init__()
        n_in, n_out = spec.dims[level + 1], spec.dims[level] * (1 if level else len(spec.stems))
        self.bands = bands
        self.sizes = [band.n_compressed for band in bands]
        self.convtrs = nn.ModuleList(
            nn.ConvTranspose2d(n_in, n_out, (kernel, 1), (stride, 1))
            for kernel, stride in zip(spec.band_kernels, spec.band_strides, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, compressed rows, frames) → (segments, fewer channels, rows, frames)."""
        expanded = []
        for conv, band, part in zip(self.convtrs, self.bands, torch.split(x, self.sizes, dim=2), strict=True):
            wide = conv(part)
            expanded.append(wide.narrow(2, (wide.shape[2] - band.n_rows) // 2, band.n_rows))
        return torch.cat(expanded, dim=2)
