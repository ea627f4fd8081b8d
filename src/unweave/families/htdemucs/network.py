"""HTDemucs in PyTorch, under the checkpoint's own names: for graphics processors, and to train on.

The same function as `unweave.families.htdemucs.graph` computes, from the same tensors: ``load_state_dict`` takes a
published state dict as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unweave.families.demucs.layers import EPSILON, Residual, Scale, normalised
from unweave.families.htdemucs.positions import frame_positions, sample_positions
from unweave.families.htdemucs.spec import HTDemucsSpec
from unweave.families.twins import with_arrays


def load_network(spec: HTDemucsSpec, arrays: Mapping[str, Any]) -> HTDemucs:
    """The network with the tensors of a checkpoint, in evaluation mode. Raises `CheckpointError`."""
    return with_arrays(HTDemucs(spec), arrays, spec.shapes(), "this HTDemucs")


class HTDemucs(nn.Module):
    """Samples and their spectrum → spectra and samples per stem, for a batch of segments."""

    def __init__(self, spec: HTDemucsSpec) -> None:
        super().__init__()
        self._spec = spec
        layers = range(spec.depth)
        self.encoder = nn.ModuleList([_Encoder(spec, layer, time=False) for layer in layers])
        self.tencoder = nn.ModuleList([_Encoder(spec, layer, time=True) for layer in layers])
        self.decoder = nn.ModuleList([_Decoder(spec, layer, time=False) for layer in reversed(layers)])
        self.tdecoder = nn.ModuleList([_Decoder(spec, layer, time=True) for layer in reversed(layers)])
        if spec.freq_emb:
            self.freq_emb = nn.ModuleDict({"embedding": nn.Embedding(spec.n_bins // spec.stride, spec.channels)})
        if spec.bottom_channels:
            for suffix, time in (("", False), ("_t", True)):
                deepest = spec.layer_channels(spec.depth - 1, time=time)
                setattr(self, f"channel_upsampler{suffix}", nn.Conv1d(deepest, spec.bottom_channels, 1))
                setattr(self, f"channel_downsampler{suffix}", nn.Conv1d(spec.bottom_channels, deepest, 1))
        if spec.t_layers:
            self.crosstransformer = _CrossTransformer(spec)

    def forward(self, mixture: Tensor, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channels, samples), (batch, 2 · channels, bins, frames) → the same with stems after the batch."""
        spec = self._spec
        x, level, mean = normalised(spectrum)
        t, level_t, mean_t = normalised(mixture)
        skips: list[tuple[Tensor, Tensor, int]] = []
        for layer, (encode, encode_t) in enumerate(zip(self.encoder, self.tencoder, strict=True)):
            length = t.shape[-1]
            x, t = encode(x), encode_t(t)
            if layer == 0 and spec.freq_emb:
                embedding = self.get_parameter("freq_emb.embedding.weight").t()[None, :, :, None]
                x = x + (spec.freq_emb * spec.emb_scale) * embedding
            skips.append((x, t, length))
        if spec.t_layers:
            x, t = self._transformed(x, t)
        for decode, decode_t in zip(self.decoder, self.tdecoder, strict=True):
            skip, skip_t, length = skips.pop()
            x, t = decode(x, skip), decode_t(t, skip_t)[..., :length]
        shape = (len(spectrum), len(spec.stems))
        spectra = x.reshape(*shape, *spectrum.shape[1:]) * level[:, None] + mean[:, None]
        return spectra, t.reshape(*shape, *mixture.shape[1:]) * level_t[:, None] + mean_t[:, None]

    def _transformed(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        rows = x.shape[2]
        x = x.flatten(2)
        if self._spec.bottom_channels:
            x, t = self._resized(x, "up"), self._resized(t, "up", "_t")
        x, t = self.crosstransformer(x.reshape(*x.shape[:2], rows, -1), t)
        x = x.flatten(2)
        if self._spec.bottom_channels:
            x, t = self._resized(x, "down"), self._resized(t, "down", "_t")
        return x.reshape(*x.shape[:2], rows, -1), t

    def _resized(self, x: Tensor, direction: str, suffix: str = "") -> Tensor:
        """From the channels of the deepest layer to those of the transformer, or back."""
        return torch.as_tensor(self.get_submodule(f"channel_{direction}sampler{suffix}")(x))


def _residual(spec: HTDemucsSpec, n_channels: int, mode: int) -> nn.Module:
    """The residual branch of a layer, where those of ``mode`` have one."""
    if not spec.dconv_mode & mode:
        return nn.Identity()
    return Residual(n_channels, n_channels // spec.dconv_comp, spec.dconv_depth)


class _Encoder(nn.Module):
    def __init__(self, spec: HTDemucsSpec, layer: int, *, time: bool) -> None:
        super().__init__()
        n_channels = spec.layer_channels(layer, time=time)
        n_inputs = spec.layer_channels(layer - 1, time=time) if layer else spec.audio_channels * (1 if time else 2)
        kernel, stride, pad, context = spec.kernel_size, spec.stride, spec.kernel_size // 4, spec.context_enc
        self._stride = stride if time else 1  # what the length must be a multiple of
        if time:
            self.conv: nn.Module = nn.Conv1d(n_inputs, n_channels, kernel, stride, pad)
            self.rewrite: nn.Module = nn.Conv1d(n_channels, 2 * n_channels, 2 * context + 1, padding=context)
        else:
            self.conv = nn.Conv2d(n_inputs, n_channels, (kernel, 1), (stride, 1), (pad, 0))
            self.rewrite = nn.Conv2d(n_channels, 2 * n_channels, 2 * context + 1, padding=context)
        self.dconv: nn.Module = (
            Residual(n_channels, n_channels // spec.dconv_comp, spec.dconv_depth)
            if spec.dconv_mode & 1
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (0, -x.shape[-1] % self._stride))
        return functional.glu(self.rewrite(self.dconv(functional.gelu(self.conv(x)))), 1)


class _Decoder(nn.Module):
    def __init__(self, spec: HTDemucsSpec, layer: int, *, time: bool) -> None:
        super().__init__()
        n_channels = spec.layer_channels(layer, time=time)
        n_outputs = (
            spec.layer_channels(layer - 1, time=time)
            if layer
            else len(spec.stems) * spec.audio_channels * (1 if time else 2)
        )
        kernel, stride, pad, context = spec.kernel_size, spec.stride, spec.kernel_size // 4, spec.context
        self._is_last = layer == 0
        if time:
            self.conv_tr: nn.Module = nn.ConvTranspose1d(n_channels, n_outputs, kernel, stride, pad)
            self.rewrite: nn.Module = nn.Conv1d(n_channels, 2 * n_channels, 2 * context + 1, padding=context)
        else:
            self.conv_tr = nn.ConvTranspose2d(n_channels, n_outputs, (kernel, 1), (stride, 1), (pad, 0))
            self.rewrite = nn.Conv2d(n_channels, 2 * n_channels, 2 * context + 1, padding=context)
        self.dconv: nn.Module = (
            Residual(n_channels, n_channels // spec.dconv_comp, spec.dconv_depth)
            if spec.dconv_mode & 2
            else nn.Identity()
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.dconv(functional.glu(self.rewrite(x + skip), 1))
        x = torch.as_tensor(self.conv_tr(x))
        return x if self._is_last else functional.gelu(x)


class _Attention(nn.Module):
    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self._n_heads = n_heads
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        query, key, value = (
            functional.linear(x, weight, bias).reshape(*x.shape[:2], self._n_heads, -1).transpose(1, 2)
            for x, weight, bias in zip((queries, keys, keys), weights, biases, strict=True)
        )
        attended = functional.scaled_dot_product_attention(query, key, value)
        attended = self.out_proj(attended.transpose(1, 2).flatten(2))
        return torch.as_tensor(attended)


class _Layer(nn.Module):
    """One layer of the transformer, for one branch: attention to itself or to the other, then two linear layers."""

    def __init__(self, spec: HTDemucsSpec, *, cross: bool) -> None:
        super().__init__()
        width = spec.transformer_channels
        attention = _Attention(width, spec.t_heads)
        if cross:
            self.cross_attn = attention
            self.norm3 = nn.LayerNorm(width, EPSILON)
        else:
            self.self_attn = attention
        self.norm1 = nn.LayerNorm(width, EPSILON)
        self.norm2 = nn.LayerNorm(width, EPSILON)
        self.linear1 = nn.Linear(width, spec.hidden_channels)
        self.linear2 = nn.Linear(spec.hidden_channels, width)
        if spec.t_layer_scale:
            self.gamma_1 = Scale(width, channels_last=True)
            self.gamma_2 = Scale(width, channels_last=True)
        if spec.t_norm_out:
            self.norm_out = nn.GroupNorm(1, width, EPSILON)
        self._spec = spec
        self._cross = cross

    def forward(self, x: Tensor, other: Tensor | None) -> Tensor:
        queries = self.norm1(x)
        if other is None:
            attended, norm = self.self_attn(queries, queries), self.norm2
        else:
            attended, norm = self.cross_attn(queries, self.norm2(other)), self.norm3
        x = x + (self.gamma_1(attended) if self._spec.t_layer_scale else attended)
        activation = functional.gelu if self._spec.t_gelu else functional.relu
        hidden = self.linear2(activation(self.linear1(norm(x))))
        x = x + (self.gamma_2(hidden) if self._spec.t_layer_scale else hidden)
        if self._spec.t_norm_out:
            x = self.norm_out(x.transpose(1, 2)).transpose(1, 2)
        return x


class _CrossTransformer(nn.Module):
    def __init__(self, spec: HTDemucsSpec) -> None:
        super().__init__()
        width = spec.transformer_channels
        n_rows = spec.n_bins // spec.stride**spec.depth
        if spec.t_norm_in:
            self.norm_in = nn.LayerNorm(width, EPSILON)
            self.norm_in_t = nn.LayerNorm(width, EPSILON)
        layers = range(spec.t_layers)
        self.layers = nn.ModuleList([_Layer(spec, cross=spec.is_cross(layer)) for layer in layers])
        self.layers_t = nn.ModuleList([_Layer(spec, cross=spec.is_cross(layer)) for layer in layers])
        weight, period = spec.t_weight_pos_embed, spec.t_max_period
        frames = weight * torch.from_numpy(frame_positions(spec.n_frames, n_rows, width, period))
        samples = weight * torch.from_numpy(sample_positions(spec.time_lengths()[-1], width, period))
        self.register_buffer("_frames", frames, persistent=False)
        self.register_buffer("_samples", samples, persistent=False)
        self._spec = spec

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channels, rows, frames), (batch, channels, samples) → the same."""
        n_rows = x.shape[2]
        x, t = x.permute(0, 3, 2, 1).flatten(1, 2), t.transpose(1, 2)
        if self._spec.t_norm_in:
            x, t = self.norm_in(x), self.norm_in_t(t)
        x, t = x + self.get_buffer("_frames"), t + self.get_buffer("_samples")
        for layer, (attend, attend_t) in enumerate(zip(self.layers, self.layers_t, strict=True)):
            if self._spec.is_cross(layer):
                x, t = attend(x, t), attend_t(t, x)
            else:
                x, t = attend(x, None), attend_t(t, None)
        return x.reshape(len(x), -1, n_rows, x.shape[2]).permute(0, 3, 2, 1), t.transpose(1, 2)
