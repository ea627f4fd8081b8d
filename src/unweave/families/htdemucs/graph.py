"""HTDemucs as an ONNX graph of static shapes, made of the parts in `unweave.families.demucs.graph`.

Attention is one operator, which never holds all scores at once (231 MB for the frames of a segment); where it must be
made of standard operators, it takes some hundred queries at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from unweave.families.demucs.graph import (
    EPSILON,
    FUSED,
    MIXTURE,
    SPECTRA,
    SPECTRUM,
    WAVEFORMS,
    Array,
    HybridGraph,
    port_shapes,
)
from unweave.families.htdemucs.positions import frame_positions, sample_positions
from unweave.families.htdemucs.spec import HTDemucsSpec

QUERIES_AT_ONCE = 168


def build_graph(
    spec: HTDemucsSpec,
    arrays: Mapping[str, Array],
    stems: Sequence[int] | None = None,
    *,
    fused: bool = True,
    name: str = "htdemucs",
) -> onnx.ModelProto:
    """The network as a model: `MIXTURE`, `SPECTRUM` → `SPECTRA`, `WAVEFORMS`.

    With ``stems`` only the stems of those indices are computed. ``arrays`` are those of `HTDemucsSpec.shapes`.
    ``fused`` attention is an operator of ONNX Runtime's own; without it, all operators are standard ones.
    """
    chosen = range(len(spec.stems)) if stems is None else stems
    graph = _Graph(arrays, fused=fused)
    shapes = port_shapes(spec, len(chosen))
    frequencies, level, mean = graph.normalised(SPECTRUM, shapes[SPECTRUM])
    samples, level_t, mean_t = graph.normalised(MIXTURE, shapes[MIXTURE])
    samples = graph.reshape(samples, [1, spec.audio_channels, 1, spec.segment_samples])
    branches = [_Branch(graph, spec, time=False), _Branch(graph, spec, time=True)]
    skips: list[list[str]] = [[], []]
    signals = [frequencies, samples]
    for layer in range(spec.depth):
        for index, branch in enumerate(branches):
            signals[index] = branch.encode(signals[index], layer)
            skips[index].append(signals[index])
    if spec.t_layers:
        signals = _Transformer(graph, spec).run(signals)
    for position in range(spec.depth):
        for index, branch in enumerate(branches):
            signals[index] = branch.decode(signals[index], skips[index].pop(), position, chosen)
    graph.restored(signals[0], shapes[SPECTRA], level, mean, SPECTRA)
    graph.restored(signals[1], shapes[WAVEFORMS], level_t, mean_t, WAVEFORMS)
    return graph.model(name, shapes, fused=fused)


class _Graph(HybridGraph):
    """The weights, and whether attention is one operator."""

    def __init__(self, arrays: Mapping[str, Array], *, fused: bool) -> None:
        super().__init__(arrays)
        self.fused = fused


class _Branch:
    """One of the two U-Nets; the one over the samples works on images of one row."""

    def __init__(self, graph: _Graph, spec: HTDemucsSpec, *, time: bool) -> None:
        self._graph = graph
        self._spec = spec
        self._time = time
        self._lengths = spec.time_lengths() if time else [spec.n_bins // spec.stride**i for i in range(spec.depth + 1)]
        self._prefix = "t" if time else ""

    def encode(self, x: str, layer: int) -> str:
        """The signal after layer ``layer`` of the encoder."""
        graph, spec, name = self._graph, self._spec, f"{self._prefix}encoder.{layer}"
        kernel, bias = graph.weights(f"{name}.conv")
        pad = spec.kernel_size // 4
        missing = -self._lengths[layer] % spec.stride if self._time else 0
        pads = [0, pad, 0, pad + missing] if self._time else [pad, 0, pad, 0]
        strides = [1, spec.stride] if self._time else [spec.stride, 1]
        x = graph.gelu(graph.convolution(x, kernel, bias, pads=pads, strides=strides))
        if spec.dconv_mode & 1:
            x = self._residual(x, f"{name}.dconv", layer)
        x = self._gated(x, f"{name}.rewrite", spec.context_enc)
        if layer == 0 and spec.freq_emb and not self._time:
            embedding = graph.weight("freq_emb.embedding.weight").T * np.float32(spec.emb_scale * spec.freq_emb)
            x = graph.add("Add", [x, graph.constant(embedding[None, :, :, None])])
        return x

    def decode(self, x: str, skip: str, position: int, stems: Sequence[int]) -> str:
        """The signal after the decoder's layer at ``position``, counted from the deepest; the last gives ``stems``."""
        graph, spec, name = self._graph, self._spec, f"{self._prefix}decoder.{position}"
        layer = spec.depth - 1 - position
        x = self._gated(graph.add("Add", [x, skip]), f"{name}.rewrite", spec.context)
        if spec.dconv_mode & 2:
            x = self._residual(x, f"{name}.dconv", layer)
        kernel, bias = graph.weights(f"{name}.conv_tr")
        if layer == 0:
            per_stem = len(bias) // len(spec.stems)
            outputs = np.concatenate([np.arange(stem * per_stem, (stem + 1) * per_stem) for stem in stems])
            kernel, bias = kernel[:, outputs], bias[outputs]
        axis = 3 if self._time else 2
        phases = graph.transposed(x, kernel.reshape(*kernel.shape[:2], -1), bias, spec.stride, axis)
        if layer:
            phases = graph.gelu(phases)
        return graph.interleaved(phases, len(bias), spec.stride, self._shape(layer), axis, self._lengths[layer])

    def _shape(self, layer: int) -> tuple[int, int]:
        """Rows and columns of the image that layer ``layer`` of the encoder gives."""
        length = self._lengths[layer + 1]
        return (1, length) if self._time else (length, self._spec.n_frames)

    def _gated(self, x: str, name: str, context: int) -> str:
        weight, bias = self._graph.weights(name)
        pads = [0, context, 0, context] if self._time else [context] * 4
        return self._graph.gated(x, weight, bias, pads)

    def _residual(self, x: str, name: str, layer: int) -> str:
        graph, shape = self._graph, self._shape(layer)
        for depth in range(self._spec.dconv_depth):
            at = f"{name}.layers.{depth}"
            hidden = graph.squeezed(x, at, 2**depth, *shape)
            x = graph.add("Add", [x, graph.widened(hidden, at, 3, *shape)])
        return x


class _Transformer:
    """The layers that let frames, bands and samples attend to each other; tokens are (1, tokens, channels)."""

    def __init__(self, graph: _Graph, spec: HTDemucsSpec) -> None:
        self._graph = graph
        self._spec = spec
        deepest = spec.n_bins // spec.stride**spec.depth
        self._images = ((deepest, spec.n_frames), (1, spec.time_lengths()[-1]))

    def run(self, signals: Sequence[str]) -> list[str]:
        """The deepest signals of both branches, (1, channels, rows, columns) each, as they come out."""
        graph, spec = self._graph, self._spec
        width = spec.transformer_channels
        n_rows, n_frames = self._images[0]
        positions = (
            frame_positions(n_frames, n_rows, width, spec.t_max_period),
            sample_positions(self._images[1][1], width, spec.t_max_period),
        )
        tokens = []
        for x, suffix, encoded in zip(signals, ("", "_t"), positions, strict=True):
            x = self._to_tokens(x, suffix)
            if spec.t_norm_in:
                x = self._layer_norm(x, f"crosstransformer.norm_in{suffix}")
            tokens.append(graph.add("Add", [x, graph.constant(np.float32(spec.t_weight_pos_embed) * encoded[None])]))
        for layer in range(spec.t_layers):
            names = [f"crosstransformer.{branch}.{layer}" for branch in ("layers", "layers_t")]
            if spec.is_cross(layer):
                tokens = [self._layer(tokens[i], names[i], i, tokens[1 - i]) for i in range(2)]
            else:
                tokens = [self._layer(tokens[i], names[i], i, None) for i in range(2)]
        return [self._from_tokens(tokens[i], ("", "_t")[i], i) for i in range(2)]

    def _to_tokens(self, x: str, suffix: str) -> str:
        graph, spec = self._graph, self._spec
        n_rows, n_columns = self._images[bool(suffix)]
        channels = spec.layer_channels(spec.depth - 1, time=bool(suffix))
        x = graph.add("Transpose", [x], perm=[0, 3, 2, 1])
        x = graph.reshape(x, [1, n_columns * n_rows, channels])
        return self._resized(x, f"channel_upsampler{suffix}")

    def _from_tokens(self, x: str, suffix: str, index: int) -> str:
        graph, spec = self._graph, self._spec
        n_rows, n_columns = self._images[index]
        channels = spec.layer_channels(spec.depth - 1, time=bool(suffix))
        x = self._resized(x, f"channel_downsampler{suffix}")
        return graph.add("Transpose", [graph.reshape(x, [1, n_columns, n_rows, channels])], perm=[0, 3, 2, 1])

    def _resized(self, x: str, name: str) -> str:
        graph = self._graph
        if not self._spec.bottom_channels:
            return x
        return graph.matmul(x, graph.weight(f"{name}.weight")[:, :, 0], graph.weight(f"{name}.bias"))

    def _layer(self, x: str, name: str, index: int, other: str | None) -> str:
        graph, spec = self._graph, self._spec
        queries = self._layer_norm(x, f"{name}.norm1")
        keys = self._layer_norm(other, f"{name}.norm2") if other else queries
        n_tokens = [rows * columns for rows, columns in self._images]
        attended = self._attention(
            queries,
            keys,
            f"{name}.{'cross' if other else 'self'}_attn",
            n_tokens[index],
            n_tokens[1 - index if other else index],
            self._layer_scale(f"{name}.gamma_1"),
        )
        x = graph.add("Add", [x, attended])
        hidden = self._layer_norm(x, f"{name}.{'norm3' if other else 'norm2'}")
        hidden = graph.matmul(hidden, graph.weight(f"{name}.linear1.weight"), graph.weight(f"{name}.linear1.bias"))
        hidden = graph.gelu(hidden) if spec.t_gelu else graph.add("Relu", [hidden])
        scale = self._layer_scale(f"{name}.gamma_2")
        weight, bias = (graph.weight(f"{name}.linear2.{part}") for part in ("weight", "bias"))
        x = graph.add("Add", [x, graph.matmul(hidden, scale[:, None] * weight, scale * bias)])
        if not spec.t_norm_out:
            return x
        gain, shift = (graph.weight(f"{name}.norm_out.{part}") for part in ("weight", "bias"))
        return graph.group_norm(x, [2, 1], [1, n_tokens[index], spec.transformer_channels], gain, shift)

    def _attention(self, queries: str, keys: str, name: str, n_queries: int, n_keys: int, scale: Array) -> str:
        """Multi-head attention; the layer scale is in the last projection."""
        graph, n_heads = self._graph, self._spec.t_heads
        weight, bias = graph.weight(f"{name}.in_proj_weight"), graph.weight(f"{name}.in_proj_bias")
        width = weight.shape[1]
        projected = []
        for part, x in enumerate((queries, keys, keys)):
            rows = slice(part * width, (part + 1) * width)
            projected.append(graph.matmul(x, weight[rows], bias[rows]))
        if graph.fused:
            x = graph.add("MultiHeadAttention", projected, domain=FUSED, num_heads=n_heads)
        else:
            x = self._plain_attention(projected, n_queries, n_keys)
        weight, bias = (graph.weight(f"{name}.out_proj.{part}") for part in ("weight", "bias"))
        return graph.matmul(x, scale[:, None] * weight, scale * bias)

    def _plain_attention(self, projected: Sequence[str], n_queries: int, n_keys: int) -> str:
        """Softmax of the scaled scores times the values, some queries at a time."""
        graph, n_heads = self._graph, self._spec.t_heads
        width = self._spec.transformer_channels
        per_head = width // n_heads
        query, key, value = (
            graph.add("Transpose", [graph.reshape(x, [1, n_tokens, n_heads, per_head])], perm=perm)
            for x, n_tokens, perm in zip(
                projected, (n_queries, n_keys, n_keys), ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True
            )
        )
        query = graph.add("Mul", [query, graph.number(per_head**-0.5)])
        parts = []
        for start in range(0, n_queries, QUERIES_AT_ONCE):
            stop = min(start + QUERIES_AT_ONCE, n_queries)
            bounds = [graph.constant(np.array([n], np.int64)) for n in (start, stop, 2)]
            scores = graph.add("MatMul", [graph.add("Slice", [query, *bounds]), key])
            parts.append(graph.add("MatMul", [graph.add("Softmax", [scores], axis=-1), value]))
        x = graph.add("Concat", parts, axis=2) if len(parts) > 1 else parts[0]
        return graph.reshape(graph.add("Transpose", [x], perm=[0, 2, 1, 3]), [1, n_queries, width])

    def _layer_norm(self, x: str, name: str) -> str:
        graph = self._graph
        weight, bias = (graph.constant(graph.weight(f"{name}.{part}")) for part in ("weight", "bias"))
        return graph.add("LayerNormalization", [x, weight, bias], axis=-1, epsilon=EPSILON)

    def _layer_scale(self, name: str) -> Array:
        if self._spec.t_layer_scale:
            return self._graph.weight(f"{name}.scale")
        return np.ones(self._spec.transformer_channels, np.float32)
