"""HTDemucs as an ONNX graph of static shapes, rewritten (exactly) for what CPU kernels are fast at.

* The branch over the samples is laid out as an image of one row, so that its convolutions run in the same blocked
  kernels as those over the spectrum.
* A gate, GLU, is two convolutions, one of which ends in a sigmoid, and a product: the halves are never cut apart.
* A residual branch normalises what a 1×1 convolution gives, over channels and time, on each row of frequencies. Mean
  and variance of ``W u + b`` follow from the mean and the covariance of ``u``, which has a sixteenth of the channels;
  the norm then is a part of that convolution: its input is scaled by the row's 1/σ, and two more input channels, 1/σ
  and μ/σ, carry ``b`` and ``−μ``. Layer scales and the norm's gain are in its weights.
* A transposed convolution of kernel 2·stride is two convolutions of two taps, for the earlier and the later half of the
  output's phases, which are then interleaved.
* Attention is one operator, which never holds all scores at once (231 MB for the frames of a segment); where it must be
  made of standard operators, it takes some hundred queries at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from unweave.families.htdemucs.positions import frame_positions, sample_positions
from unweave.families.htdemucs.spec import HTDemucsSpec
from unweave.models.graph_builder import GraphBuilder

Array = npt.NDArray[np.float32]

MIXTURE = "mixture"  # (1, channels, samples)
SPECTRUM = "spectrum"  # (1, 2 · channels, bins, frames)
SPECTRA = "spectra"  # (1, stems, 2 · channels, bins, frames)
WAVEFORMS = "waveforms"  # (1, stems, channels, samples)
OPSET = 17
FUSED = "com.microsoft"  # where ONNX Runtime's own operators live
IR_VERSION = 9
EPSILON = 1e-5  # of every norm, and of the level that the input is brought to
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
    n = len(chosen)
    shape_mixture = [1, spec.audio_channels, spec.segment_samples]
    shape_spectrum = [1, 2 * spec.audio_channels, spec.n_bins, spec.n_frames]

    graph.n_values = {MIXTURE: math.prod(shape_mixture), SPECTRUM: math.prod(shape_spectrum)}
    frequencies, level, mean = _normalised(graph, SPECTRUM)
    samples, level_t, mean_t = _normalised(graph, MIXTURE)
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
    spectra = graph.reshape(signals[0], [1, n, *shape_spectrum[1:]])
    graph.add("Add", [graph.add("Mul", [spectra, level]), mean], output=SPECTRA)
    waveforms = graph.reshape(signals[1], [1, n, *shape_mixture[1:]])
    graph.add("Add", [graph.add("Mul", [waveforms, level_t]), mean_t], output=WAVEFORMS)

    def value(name: str, shape: list[int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [value(MIXTURE, shape_mixture), value(SPECTRUM, shape_spectrum)],
            [value(SPECTRA, [1, n, *shape_spectrum[1:]]), value(WAVEFORMS, [1, n, *shape_mixture[1:]])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET), *([helper.make_opsetid(FUSED, 1)] if fused else [])],
        producer_name="unweave",
    )
    model.ir_version = IR_VERSION
    return model


class _Graph(GraphBuilder):
    """The weights, and what this network is made of besides plain nodes."""

    def __init__(self, arrays: Mapping[str, Array], *, fused: bool) -> None:
        super().__init__()
        self.arrays = arrays
        self.fused = fused
        self.n_values: dict[str, int] = {}
        self._shapes: dict[tuple[int, ...], str] = {}

    def number(self, value: float) -> str:
        return self.constant(np.float32(value))

    def weight(self, name: str) -> Array:
        return np.asarray(self.arrays[name], np.float32)

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        key = tuple(shape)
        if key not in self._shapes:
            self._shapes[key] = self.constant(np.array(shape, np.int64))
        return self.add("Reshape", [x, self._shapes[key]])

    def convolution(self, x: str, weight: Array, bias: Array, **attributes: Any) -> str:
        inputs = [x, self.constant(weight), self.constant(bias)]
        return self.add("Conv", inputs, kernel_shape=weight.shape[2:], **attributes)

    def gelu(self, x: str) -> str:
        """x · ½ (1 + erf(x / √2)), in the form that ONNX Runtime fuses."""
        erf = self.add("Erf", [self.add("Div", [x, self.number(2**0.5)])])
        return self.add("Mul", [self.add("Mul", [x, self.add("Add", [erf, self.number(1)])]), self.number(0.5)])

    def mean(self, x: str, axes: Sequence[int]) -> str:
        """The mean over ``axes``, kept as axes of length one; axis by axis, the first one first.

        One sum over a million numbers of single precision is a hundred times less exact.
        """
        for axis in axes:
            x = self.add("ReduceMean", [x], axes=[axis], keepdims=1)
        return x

    def centred(self, x: str, axes: Sequence[int]) -> tuple[str, str, str]:
        """``x`` less its mean over ``axes``, that mean, and the mean of the squares of the difference."""
        mean = self.mean(x, axes)
        centred = self.add("Sub", [x, mean])
        return centred, mean, self.mean(self.add("Mul", [centred, centred]), axes)

    def group_norm(self, x: str, axes: Sequence[int], gain: Array, shift: Array) -> str:
        """``x`` at mean 0 and variance 1 over ``axes``, then times ``gain`` and plus ``shift``."""
        centred, _, variance = self.centred(x, axes)
        deviation = self.add("Sqrt", [self.add("Add", [variance, self.number(EPSILON)])])
        scaled = self.add("Mul", [centred, self.add("Div", [self.constant(gain), deviation])])
        return self.add("Add", [scaled, self.constant(shift)])

    def matmul(self, x: str, weight: Array, bias: Array) -> str:
        """Tokens (1, tokens, inputs) times a weight (outputs, inputs)."""
        return self.add("Add", [self.add("MatMul", [x, self.constant(weight.T)]), self.constant(bias)])


def _normalised(graph: _Graph, x: str) -> tuple[str, str, str]:
    """The input at a mean of zero and a level of one; and, for the way back, its own level and mean."""
    axes = {SPECTRUM: [3, 2, 1], MIXTURE: [2, 1]}[x]
    centred, mean, power = graph.centred(x, axes)
    unbiased = graph.n_values[x] / (graph.n_values[x] - 1)
    level = graph.add("Sqrt", [graph.add("Mul", [power, graph.number(unbiased)])])
    return graph.add("Div", [centred, graph.add("Add", [level, graph.number(EPSILON)])]), level, mean


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
        kernel, bias = self._weights(f"{name}.conv")
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
        kernel, bias = self._weights(f"{name}.conv_tr")
        if layer == 0:
            per_stem = len(bias) // len(spec.stems)
            outputs = np.concatenate([np.arange(stem * per_stem, (stem + 1) * per_stem) for stem in stems])
            kernel, bias = kernel[:, outputs], bias[outputs]
        phases = self._transposed(x, kernel[..., 0] if not self._time else kernel[:, :, 0], bias)
        if layer:
            phases = graph.gelu(phases)
        return self._interleaved(phases, len(bias), layer)

    def _weights(self, name: str) -> tuple[Array, Array]:
        """Weight and bias of a convolution, as one over images."""
        weight = self._graph.weight(f"{name}.weight")
        return (weight[:, :, None] if self._time else weight), self._graph.weight(f"{name}.bias")

    def _shape(self, layer: int) -> tuple[int, int]:
        """Rows and columns of the image that layer ``layer`` of the encoder gives."""
        length = self._lengths[layer + 1]
        return (1, length) if self._time else (length, self._spec.n_frames)

    def _gated(self, x: str, name: str, context: int) -> str:
        weight, bias = self._weights(name)
        pads = [0, context, 0, context] if self._time else [context] * 4
        return self._product_with_sigmoid(x, weight, bias, pads)

    def _product_with_sigmoid(self, x: str, weight: Array, bias: Array, pads: list[int]) -> str:
        graph, half = self._graph, len(bias) // 2
        value = graph.convolution(x, weight[:half], bias[:half], pads=pads)
        gate = graph.add("Sigmoid", [graph.convolution(x, weight[half:], bias[half:], pads=pads)])
        return graph.add("Mul", [value, gate])

    def _residual(self, x: str, name: str, layer: int) -> str:
        for depth in range(self._spec.dconv_depth):
            x = self._graph.add("Add", [x, self._residual_layer(x, f"{name}.layers.{depth}", 2**depth, layer)])
        return x

    def _residual_layer(self, x: str, name: str, dilation: int, layer: int) -> str:
        """What one layer of a residual branch adds to its input."""
        graph = self._graph
        n_rows, n_columns = self._shape(layer)
        weight = graph.weight(f"{name}.0.weight")[:, :, None]
        hidden = len(weight)
        x = graph.convolution(
            x, weight, graph.weight(f"{name}.0.bias"), dilations=[1, dilation], pads=[0, dilation, 0, dilation]
        )
        x = graph.add("Transpose", [x], perm=[0, 2, 1, 3])  # (1, rows, channels, columns)
        x = graph.reshape(x, [n_rows, hidden, n_columns])
        gain, shift = (graph.weight(f"{name}.1.{part}")[:, None] for part in ("weight", "bias"))
        x = graph.gelu(graph.group_norm(x, [2, 1], gain, shift))

        weight, bias = graph.weight(f"{name}.3.weight")[:, :, 0], graph.weight(f"{name}.3.bias")
        mean, scale = self._statistics(x, weight, bias, n_rows, n_columns)
        n_extra = 2 + -(hidden + 2) % 4  # blocked kernels take inputs by fours
        zeros = [graph.constant(np.zeros((n_rows, n_extra - 2, 1), np.float32))] if n_extra > 2 else []
        extra = graph.add("Concat", [scale, graph.add("Mul", [mean, scale]), *zeros], axis=1)
        extra = graph.add("Mul", [extra, graph.constant(np.ones((1, 1, n_columns), np.float32))])
        x = graph.add("Concat", [graph.add("Mul", [x, scale]), extra], axis=1)
        x = graph.reshape(x, [1, n_rows, hidden + n_extra, n_columns])
        x = graph.add("Transpose", [x], perm=[0, 2, 1, 3])

        gain, shift = graph.weight(f"{name}.4.weight"), graph.weight(f"{name}.4.bias")
        folded = np.zeros((len(bias), hidden + n_extra, 1, 1), np.float32)
        folded[:, :hidden, 0, 0] = gain[:, None] * weight
        folded[:, hidden, 0, 0] = gain * bias
        folded[:, hidden + 1, 0, 0] = -gain
        layer_scale = graph.weight(f"{name}.6.scale")
        folded[: len(layer_scale)] *= layer_scale[:, None, None, None]
        shift = shift.copy()
        shift[: len(layer_scale)] *= layer_scale
        return self._product_with_sigmoid(x, folded, shift, [0, 0, 0, 0])

    def _statistics(self, u: str, weight: Array, bias: Array, n_rows: int, n_columns: int) -> tuple[str, str]:
        """Mean and 1/σ of ``weight · u + bias`` over outputs and columns, (rows, 1, 1), for u (rows, inputs, columns).

        With ū the mean of u over the columns and m = W ū + b, the variance is that of m over the outputs plus the
        mean over outputs and columns of (W (u − ū))², which is the covariance of u times WᵀW, summed.
        """
        graph = self._graph
        n_outputs, n_inputs = weight.shape
        mean_u = graph.add("ReduceMean", [u], axes=[2], keepdims=1)
        centred = graph.add("Sub", [u, mean_u])
        covariance = graph.add("MatMul", [centred, graph.add("Transpose", [centred], perm=[0, 2, 1])])
        squares = (weight.T.astype(np.float64) @ weight).reshape(-1, 1) / (n_outputs * n_columns)
        within = graph.add(
            "MatMul",
            [graph.reshape(covariance, [n_rows, n_inputs**2]), graph.constant(squares.astype(np.float32))],
        )
        means = graph.matmul(graph.reshape(mean_u, [n_rows, n_inputs]), weight, bias)
        mean = graph.add("ReduceMean", [means], axes=[1], keepdims=1)
        apart = graph.add("Sub", [means, mean])
        between = graph.add("ReduceMean", [graph.add("Mul", [apart, apart])], axes=[1], keepdims=1)
        variance = graph.add("Add", [graph.add("Add", [within, between]), graph.number(EPSILON)])
        scale = graph.add("Reciprocal", [graph.add("Sqrt", [variance])])
        return graph.reshape(mean, [n_rows, 1, 1]), graph.reshape(scale, [n_rows, 1, 1])

    def _transposed(self, x: str, kernel: Array, bias: Array) -> str:
        """The transposed convolution (inputs, outputs, taps) with its phases as channels: (1, stride · outputs, …).

        Output ``stride · m + p``, after the crop of ``pad``, takes input ``m + (p + pad − k) / stride`` through tap k
        wherever that is whole: inputs m − 1 and m in the earlier phases, m and m + 1 in the later ones.
        """
        stride, pad = self._spec.stride, self._spec.kernel_size // 4
        halves = []
        for first, phases in ((-1, range(stride - pad)), (0, range(stride - pad, stride))):
            weight = np.zeros((len(phases), kernel.shape[1], kernel.shape[0], 2), np.float32)
            for row, phase in enumerate(phases):
                for tap in range(2):
                    weight[row, :, :, tap] = kernel[:, :, phase + pad - stride * (first + tap)].T
            taps = weight.reshape(-1, kernel.shape[0], 2)
            before, after = (1, 0) if first else (0, 1)
            halves.append(
                self._graph.convolution(
                    x,
                    taps[:, :, None] if self._time else taps[..., None],
                    np.tile(bias, len(phases)),
                    pads=[0, before, 0, after] if self._time else [before, 0, after, 0],
                )
            )
        return self._graph.add("Concat", halves, axis=1)

    def _interleaved(self, phases: str, n_outputs: int, layer: int) -> str:
        """Phases in turn along the frequencies or the samples, cut to the length that entered the encoder's layer."""
        graph, stride = self._graph, self._spec.stride
        n_rows, n_columns = self._shape(layer)
        if not self._time:
            x = graph.reshape(phases, [stride, n_outputs, n_rows, n_columns])
            x = graph.add("Transpose", [x], perm=[1, 2, 0, 3])
            return graph.reshape(x, [1, n_outputs, stride * n_rows, n_columns])
        x = graph.add("Transpose", [graph.reshape(phases, [stride, n_outputs * n_columns])], perm=[1, 0])
        x = graph.reshape(x, [1, n_outputs, 1, stride * n_columns])
        if self._lengths[layer] < stride * n_columns:
            start, end, axis = (graph.constant(np.array([n], np.int64)) for n in (0, self._lengths[layer], 3))
            x = graph.add("Slice", [x, start, end, axis])
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
        return graph.group_norm(x, [2, 1], gain, shift)

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
