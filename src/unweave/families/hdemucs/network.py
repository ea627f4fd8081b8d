"""HDemucs in PyTorch, under the checkpoint's own names: for graphics processors, and to train on.

The same function as `unweave.families.hdemucs.graph` computes, from the same tensors: ``load_state_dict`` takes a
published state dict as it is. The length of a segment may be any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unweave.families.demucs.layers import EPSILON, Residual, normalised
from unweave.families.hdemucs.spec import N_DECAYS, N_HEADS, N_RECURRENT, HDemucsSpec, Layer
from unweave.families.twins import with_arrays

STRETCH = 200  # frames that a recurrent network is run over
ITSELF = -100.0  # the score of a frame for itself


def load_network(spec: HDemucsSpec, arrays: Mapping[str, Any]) -> HDemucs:
    """The network with the tensors of a checkpoint, in evaluation mode. Raises `CheckpointError`."""
    return with_arrays(HDemucs(spec), arrays, spec.shapes(), "this HDemucs")


class HDemucs(nn.Module):
    """Samples and their spectrum → spectra and samples per stem, for a batch of segments."""

    def __init__(self, spec: HDemucsSpec) -> None:
        super().__init__()
        self._spec = spec
        layers, layers_t = spec.layers(time=False), spec.layers(time=True)
        self.encoder = nn.ModuleList([_Encoder(spec, layer) for layer in layers])
        self.tencoder = nn.ModuleList([_Encoder(spec, layer) for layer in layers_t])
        self.decoder = nn.ModuleList([_Decoder(spec, layer) for layer in reversed(layers)])
        self.tdecoder = nn.ModuleList([_Decoder(spec, layer) for layer in reversed(layers_t)])
        if spec.freq_emb:
            self.freq_emb = nn.ModuleDict({"embedding": nn.Embedding(spec.n_bins // spec.stride, spec.channels)})

    def forward(self, mixture: Tensor, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channels, samples), (batch, 2 · channels, bins, frames) → the same with stems after the batch."""
        spec = self._spec
        x, level, mean = normalised(spectrum)
        t, level_t, mean_t = normalised(mixture)
        skips: list[tuple[Tensor, int]] = []
        skips_t: list[tuple[Tensor, int]] = []
        for index, encode in enumerate(self.encoder):
            length = x.shape[-1]
            if index <= spec.merge:
                length_t = t.shape[-1]
                t = self.tencoder[index](t)
                skips_t.append((t, length_t))
            x = encode(x, t if index == spec.merge else None)
            if index == 0 and spec.freq_emb:
                embedding = self.get_parameter("freq_emb.embedding.weight").t()[None, :, :, None]
                x = x + (spec.freq_emb * spec.emb_scale) * embedding
            skips.append((x, length))
        x = torch.zeros_like(x)
        for position, decode in enumerate(self.decoder):
            index = spec.depth - 1 - position
            skip, length = skips.pop()
            x, widened = decode(x, skip, length)
            if index <= spec.merge:
                skip_t, length_t = skips_t.pop()
                t, _ = self.tdecoder[spec.merge - index](
                    widened[:, :, 0] if index == spec.merge else t, skip_t, length_t
                )
        shape = (len(spectrum), len(spec.stems))
        spectra = x.reshape(*shape, *spectrum.shape[1:]) * level[:, None] + mean[:, None]
        return spectra, t.reshape(*shape, *mixture.shape[1:]) * level_t[:, None] + mean_t[:, None]


class _Encoder(nn.Module):
    def __init__(self, spec: HDemucsSpec, layer: Layer) -> None:
        super().__init__()
        self._layer = layer
        n_channels, kernel, stride, pad = layer.n_channels, layer.kernel, layer.stride, layer.pad
        if layer.has_rows:
            self.conv: nn.Module = nn.Conv2d(layer.n_inputs, n_channels, (kernel, 1), (stride, 1), (pad, 0))
        else:
            self.conv = nn.Conv1d(layer.n_inputs, n_channels, kernel, stride, pad)
        if layer.is_plain:
            return
        self.norm1 = _norm(spec, layer, n_channels)
        self.rewrite = _rewrite(layer, spec.context_enc)
        self.norm2 = _norm(spec, layer, 2 * n_channels)
        self.dconv = _residual(spec, layer) if spec.dconv_mode & 1 else nn.Identity()

    def forward(self, x: Tensor, joined: Tensor | None = None) -> Tensor:
        if not self._layer.has_rows:
            x = x.flatten(1, -2) if x.dim() == 4 else x
            x = functional.pad(x, (0, -x.shape[-1] % self._layer.stride))
        x = self.conv(x)
        if self._layer.is_plain:
            return x
        x = x if joined is None else x + joined[:, :, None]
        x = self.dconv(functional.gelu(self.norm1(x)))
        return functional.glu(self.norm2(self.rewrite(x)), 1)


class _Decoder(nn.Module):
    def __init__(self, spec: HDemucsSpec, layer: Layer) -> None:
        super().__init__()
        self._layer = layer
        n_channels, kernel, stride = layer.n_channels, layer.kernel, layer.stride
        if layer.has_rows:
            self.conv_tr: nn.Module = nn.ConvTranspose2d(n_channels, layer.n_outputs, (kernel, 1), (stride, 1))
        else:
            self.conv_tr = nn.ConvTranspose1d(n_channels, layer.n_outputs, kernel, stride)
        self.norm2 = _norm(spec, layer, layer.n_outputs)
        if layer.is_plain:
            return
        self.rewrite = _rewrite(layer, spec.context)
        self.norm1 = _norm(spec, layer, 2 * n_channels)
        self.dconv = _residual(spec, layer) if spec.dconv_mode & 2 else nn.Identity()

    def forward(self, x: Tensor, skip: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """The signal, cut to ``length`` where it works along time; and what its transposed convolution was given."""
        layer = self._layer
        if not layer.is_plain:
            x = x[:, :, None] if layer.has_rows and x.dim() == 3 else x
            x = self.dconv(functional.glu(self.norm1(self.rewrite(x + skip)), 1))
        y = self.norm2(self.conv_tr(x))
        if not layer.has_rows:
            y = y[..., layer.pad : layer.pad + length]
        elif layer.pad:
            y = y[..., layer.pad : -layer.pad, :]
        return functional.gelu(y) if layer.index else y, x


class _Recurrent(nn.Module):
    """A recurrent network over stretches of frames that overlap by half, added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, N_RECURRENT, bidirectional=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) → the same."""
        n_frames, half = x.shape[-1], STRETCH // 2
        if n_frames <= STRETCH:
            return x + self._said(x)
        n_stretches = -(-n_frames // half)
        padded = functional.pad(x, (0, (n_stretches + 1) * half - n_frames))
        stretches = padded.unfold(-1, STRETCH, half).transpose(1, 2)  # (batch, stretches, channels, frames)
        said = self._said(stretches.flatten(0, 1)).reshape(stretches.shape).transpose(1, 2)
        middles = said[..., half // 2 : half // 2 + half].flatten(2)
        return x + torch.cat([said[:, :, 0, : half // 2], middles], -1)[..., :n_frames]

    def _said(self, x: Tensor) -> Tensor:
        said = self.linear(self.lstm(x.permute(2, 0, 1))[0])
        return torch.as_tensor(said.permute(1, 2, 0))


class _Attention(nn.Module):
    """Attention among frames that knows distances only, added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.content = nn.Conv1d(width, width, 1)
        self.query = nn.Conv1d(width, width, 1)
        self.key = nn.Conv1d(width, width, 1)
        self.query_decay = nn.Conv1d(width, N_HEADS * N_DECAYS, 1)
        self.proj = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) → the same."""
        n_frames = x.shape[-1]
        query, key, content, decay = (
            part(x).unflatten(1, (N_HEADS, -1)).transpose(2, 3)
            for part in (self.query, self.key, self.content, self.query_decay)
        )
        places = torch.arange(n_frames, device=x.device, dtype=x.dtype)
        distance = (places[:, None] - places).abs()
        shares = torch.arange(1, N_DECAYS + 1, device=x.device, dtype=x.dtype) / (2 * N_DECAYS**0.5)
        bias = -(decay.sigmoid() @ shares)[..., None] * distance
        scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5 + bias
        weights = scores.masked_fill(distance == 0, ITSELF).softmax(-1)
        return x + torch.as_tensor(self.proj((weights @ content).transpose(2, 3).flatten(1, 2)))


def _norm(spec: HDemucsSpec, layer: Layer, n_channels: int) -> nn.Module:
    return nn.GroupNorm(spec.norm_groups, n_channels, EPSILON) if spec.has_norms(layer) else nn.Identity()


def _rewrite(layer: Layer, context: int) -> nn.Module:
    kind = nn.Conv2d if layer.has_rows else nn.Conv1d
    return kind(layer.n_channels, 2 * layer.n_channels, 2 * context + 1, padding=context)


def _residual(spec: HDemucsSpec, layer: Layer) -> nn.Module:
    hidden = layer.n_channels // spec.dconv_comp

    def between() -> list[nn.Module]:
        recurrent = [_Recurrent(hidden)] if spec.is_recurrent(layer) else []
        return [*recurrent, *([_Attention(hidden)] if spec.has_attention(layer) else [])]

    return Residual(layer.n_channels, hidden, spec.dconv_depth, [between() for _ in range(spec.dconv_depth)])
