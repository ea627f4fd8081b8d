"""The RoFormers in PyTorch, for graphics processors: every part is called as in published checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from unweave.families.roformer.spec import NUMBERS_PER_BIN, RoformerSpec


class Roformer(nn.Module):
    """Spectra (segments, frames, 4 · bins) → masks (segments, stems, frames, 4 · bins).

    For each bin, channel by channel, stand real and imaginary part. Load a checkpoint with ``strict=True``.
    """

    picked: Tensor
    counts: Tensor

    def __init__(self, spec: RoformerSpec) -> None:
        super().__init__()
        bands = spec.bands
        widths = [NUMBERS_PER_BIN * len(band) for band in bands]
        self.skip_connections = spec.skip_connections
        self.band_split = BandSplit(spec.dim, widths)
        self.layers = nn.ModuleList(
            nn.ModuleList(Transformer(spec, depth) for depth in (spec.time_depth, spec.frequency_depth))
            for _ in range(spec.depth)
        )
        self.final_norm = Norm(spec.dim) if spec.kind == "bs" else nn.Identity()
        self.mask_estimators = nn.ModuleList(MaskEstimator(spec, widths) for _ in spec.stems)
        picked = torch.tensor([NUMBERS_PER_BIN * row + k for band in bands for row in band for k in range(4)])
        self.register_buffer("picked", picked, persistent=False)
        counts = torch.bincount(picked, minlength=NUMBERS_PER_BIN * spec.n_bins).float()
        self.register_buffer("counts", counts, persistent=False)

    def forward(self, spectrum: Tensor) -> Tensor:
        """See the class."""
        n_segments, n_frames, width = spectrum.shape
        x = self.band_split(spectrum[..., self.picked])  # (segments, bands, frames, dim)
        earlier: list[Tensor] = []
        over_time: nn.Module
        over_bands: nn.Module
        for over_time, over_bands in self.layers:  # type: ignore[misc]
            if self.skip_connections:
                x = x + sum(earlier) if earlier else x
            x = over_time(x.flatten(0, 1)).unflatten(0, (n_segments, -1)).transpose(1, 2)
            x = over_bands(x.flatten(0, 1)).unflatten(0, (n_segments, n_frames)).transpose(1, 2)
            earlier.append(x)
        x = self.final_norm(x)
        masks = torch.stack([estimator(x) for estimator in self.mask_estimators], dim=1)
        summed = masks.new_zeros(n_segments, masks.shape[1], n_frames, width)
        summed.index_add_(3, self.picked, masks)
        return summed / self.counts


class Norm(nn.Module):
    """Root mean square norm; in single precision, for halves overflow when squared."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(…, dim) → (…, dim)."""
        normed = nn.functional.normalize(x.float(), dim=-1) * x.shape[-1] ** 0.5
        scaled: Tensor = normed * self.gamma
        return scaled.to(x.dtype)


class BandSplit(nn.Module):
    """Each band's numbers as ``dim`` features."""

    def __init__(self, dim: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = list(widths)
        self.to_features = nn.ModuleList(nn.Sequential(Norm(width), nn.Linear(width, dim)) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """(segments, frames, all bands' numbers) → (segments, bands, frames, dim)."""
        parts = zip(self.to_features, torch.split(x, self.widths, dim=-1), strict=True)
        return torch.stack([to_features(part) for to_features, part in parts], dim=1)


class Transformer(nn.Module):
    """Attention and a feed-forward part, each added to its input."""

    def __init__(self, spec: RoformerSpec, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList((Attention(spec), FeedForward(spec))) for _ in range(depth))
        self.norm = Norm(spec.dim) if spec.kind == "mel" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(rows, positions, dim) → the same."""
        attention: nn.Module
        feed_forward: nn.Module
        for attention, feed_forward in self.layers:  # type: ignore[misc]
            x = x + attention(x)
            x = x + feed_forward(x)
        normed: Tensor = self.norm(x)
        return normed


class RotaryEmbedding(nn.Module):
    """Turns neighbouring pairs of numbers by angles that grow with the position (J. Su et al., arXiv 2104.09864)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.freqs = nn.Parameter(10000.0 ** (-torch.arange(0, width, 2) / width), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, heads, positions, width) → the same."""
        angles = torch.arange(x.shape[2], device=x.device, dtype=torch.float32)[:, None] * self.freqs.float()
        cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        even, odd = x[..., ::2], x[..., 1::2]
        return torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2)


class Attention(nn.Module):
    """Attention with a gate per head."""

    def __init__(self, spec: RoformerSpec) -> None:
        super().__init__()
        inner = spec.n_heads * spec.head_width
        self.n_heads = spec.n_heads
        self.rotary_embed = RotaryEmbedding(spec.head_width)
        self.norm = Norm(spec.dim)
        self.to_qkv = nn.Linear(spec.dim, 3 * inner, bias=False)
        self.to_gates = nn.Linear(spec.dim, spec.n_heads)
        self.to_out = nn.Sequential(nn.Linear(inner, spec.dim, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, positions, dim) → the same."""
        x = self.norm(x)
        query, key, value = self.to_qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        heard = nn.functional.scaled_dot_product_attention(self.rotary_embed(query), self.rotary_embed(key), value)
        gated = heard.transpose(1, 2) * self.to_gates(x).sigmoid()[..., None]
        out: Tensor = self.to_out(gated.flatten(-2))
        return out


class FeedForward(nn.Module):
    """Two linear maps with a GELU between them."""

    def __init__(self, spec: RoformerSpec) -> None:
        super().__init__()
        # The parts without weights keep the numbers of the others as they are in checkpoints.
        self.net = nn.Sequential(
            Norm(spec.dim),
            nn.Linear(spec.dim, spec.ff_width),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(spec.ff_width, spec.dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(rows, positions, dim) → the same."""
        out: Tensor = self.net(x)
        return out


class MaskEstimator(nn.Module):
    """One stem's masks of all bands."""

    def __init__(self, spec: RoformerSpec, widths: Sequence[int]) -> None:
        super().__init__()
        self.to_freqs = nn.ModuleList(
            nn.Sequential(_mlp((spec.dim, *spec.mask_widths, 2 * width)), nn.GLU(dim=-1)) for width in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        """(segments, bands, frames, dim) → (segments, frames, all bands' numbers)."""
        return torch.cat([to_mask(x[:, band]) for band, to_mask in enumerate(self.to_freqs)], dim=-1)


def _mlp(widths: Sequence[int]) -> nn.Sequential:
    steps: list[nn.Module] = []
    for n_inputs, n_outputs in pairwise(widths):
        steps += [nn.Linear(n_inputs, n_outputs), nn.Tanh()]
    return nn.Sequential(*steps[:-1])
