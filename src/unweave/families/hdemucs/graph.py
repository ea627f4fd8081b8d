"""HDemucs as an ONNX graph of static shapes, made of the parts in `unweave.families.demucs.graph`.

* Layers that see a single row, and all over the samples, work on images of one row.
* The recurrent networks take stretches of 200 frames that overlap by half, and give the middle of each: all stretches
  are one batch.
* Attention of the residual branches knows distances only: a score falls with the distance, as steeply as the frame that
  asks wants it to, and no frame attends to itself.
* A transposed convolution stays one operator where a norm follows it, which sees the ends that are then cut off.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from unweave.families.demucs.graph import MIXTURE, SPECTRA, SPECTRUM, WAVEFORMS, Array, HybridGraph, port_shapes
from unweave.families.hdemucs.spec import N_DECAYS, N_HEADS, N_RECURRENT, HDemucsSpec, Layer
from unweave.models.graph_builder import lstm_gates

STRETCH = 200  # frames that a recurrent network is run over
ITSELF = -100.0  # the score of a frame for itself


def build_graph(spec: HDemucsSpec, arrays: Mapping[str, Array], *, name: str = "hdemucs") -> onnx.ModelProto:
    """The network as a model: `MIXTURE`, `SPECTRUM` → `SPECTRA`, `WAVEFORMS`.

    ``arrays`` are those of `HDemucsSpec.shapes`.
    """
    graph = _Graph(arrays)
    shapes = port_shapes(spec, len(spec.stems))
    x, level, mean = graph.normalised(SPECTRUM, shapes[SPECTRUM])
    t, level_t, mean_t = graph.normalised(MIXTURE, shapes[MIXTURE])
    t = graph.reshape(t, [1, spec.audio_channels, 1, spec.segment_samples])
    frequency, time = _Branch(graph, spec, time=False), _Branch(graph, spec, time=True)
    skips: list[str] = []
    skips_t: list[str] = []
    for index in range(spec.depth):
        if index <= spec.merge:
            t = time.encode(t, index)
            skips_t.append(t)
        x = frequency.encode(x, index, t if index == spec.merge else None)
        skips.append(x)
    decoded, decoded_t = None, None
    for index in reversed(range(spec.depth)):
        before = frequency.widened(decoded, skips[index], index)
        decoded = frequency.decode(before, index)
        if index == spec.merge:
            decoded_t = time.decode(before, index)
        elif index < spec.merge:
            decoded_t = time.decode(time.widened(decoded_t, skips_t[index], index), index)
    assert decoded is not None
    assert decoded_t is not None
    graph.restored(decoded, shapes[SPECTRA], level, mean, SPECTRA)
    graph.restored(decoded_t, shapes[WAVEFORMS], level_t, mean_t, WAVEFORMS)
    return graph.model(name, shapes, fused=False)


class _Branch:
    """One of the two U-Nets, layer by layer; that over the spectrum goes on where the other has joined it."""

    def __init__(self, graph: _Graph, spec: HDemucsSpec, *, time: bool) -> None:
        self._graph = graph
        self._spec = spec
        self._prefix = "t" if time else ""
        self._layers = spec.layers(time=time)
        # The image that enters each layer, as rows and columns, and what leaves the last one.
        self._images = [(1, spec.segment_samples) if time else (spec.n_bins, spec.n_frames)]
        for layer in self._layers:
            n_rows, n_columns = self._images[-1]
            shrunk = (n_rows // layer.stride, n_columns) if layer.has_rows else (1, -(-n_columns // layer.stride))
            self._images.append((1, n_columns) if layer.has_rows and not layer.pad else shrunk)

    def encode(self, x: str, index: int, joined: str | None = None) -> str:
        """The signal after a layer of the encoder; ``joined`` is added to what its convolution gives."""
        graph, spec, layer, name = self._graph, self._spec, self._layers[index], f"{self._prefix}encoder.{index}"
        weight, bias = graph.weights(f"{name}.conv")
        pad, missing = layer.pad, 0 if layer.has_rows else -self._images[index][1] % layer.stride
        pads = [pad, 0, pad, 0] if layer.has_rows else [0, pad, 0, pad + missing]
        strides = [layer.stride, 1] if layer.has_rows else [1, layer.stride]
        x = graph.convolution(x, weight, bias, pads=pads, strides=strides)
        if layer.is_plain:
            return x
        x = graph.add("Add", [x, joined]) if joined else x
        if spec.has_norms(layer):
            x = graph.grouped_norm(x, f"{name}.norm1", spec.norm_groups, self._images[index + 1])
        x = graph.gelu(x)
        if spec.dconv_mode & 1:
            x = self._residual(x, f"{name}.dconv", layer)
        x = self._gated(x, f"{name}.rewrite", f"{name}.norm2", layer, spec.context_enc)
        if index == 0 and spec.freq_emb and not self._prefix:
            embedding = graph.weight("freq_emb.embedding.weight").T * np.float32(spec.emb_scale * spec.freq_emb)
            x = graph.add("Add", [x, graph.constant(embedding[None, :, :, None])])
        return x

    def widened(self, x: str | None, skip: str, index: int) -> str:
        """The signal and what the encoder had, before the transposed convolution of a layer of the decoder."""
        spec, layer, name = self._spec, self._layers[index], self._decoder(index)
        x = self._graph.add("Add", [x, skip]) if x else skip
        x = self._gated(x, f"{name}.rewrite", f"{name}.norm1", layer, spec.context)
        return self._residual(x, f"{name}.dconv", layer) if spec.dconv_mode & 2 else x

    def decode(self, x: str, index: int) -> str:
        """The rest of a layer of the decoder: the image that had entered the same layer of the encoder."""
        graph, spec, layer, name = self._graph, self._spec, self._layers[index], self._decoder(index)
        weight, bias = graph.weights(f"{name}.conv_tr")
        image, target = self._images[index + 1], self._images[index]
        axis = 2 if layer.has_rows else 3
        length = target[0] if layer.has_rows else target[1]
        if layer.pad and not spec.has_norms(layer):
            phases = graph.transposed(x, weight.reshape(*weight.shape[:2], -1), bias, layer.stride, axis)
            phases = graph.gelu(phases) if index else phases
            return graph.interleaved(phases, len(bias), layer.stride, image, axis, length)
        strides = [layer.stride, 1] if layer.has_rows else [1, layer.stride]
        inputs = [x, graph.constant(weight), graph.constant(bias)]
        x = graph.add("ConvTranspose", inputs, kernel_shape=weight.shape[2:], strides=strides)
        if spec.has_norms(layer):
            uncut = ((image[0] if layer.has_rows else image[1]) + 1) * layer.stride
            shape = (uncut, image[1]) if layer.has_rows else (1, uncut)
            x = graph.grouped_norm(x, f"{name}.norm2", spec.norm_groups, shape)
        x = graph.sliced(x, layer.pad, layer.pad + length, axis) if layer.pad else x
        return graph.gelu(x) if index else x

    def _decoder(self, index: int) -> str:
        return f"{self._prefix}decoder.{len(self._layers) - 1 - index}"

    def _gated(self, x: str, name: str, norm: str, layer: Layer, context: int) -> str:
        graph, spec = self._graph, self._spec
        weight, bias = graph.weights(name)
        pads = [context] * 4 if layer.has_rows else [0, context, 0, context]
        if not spec.has_norms(layer):
            return graph.gated(x, weight, bias, pads)
        x = graph.convolution(x, weight, bias, pads=pads)
        x = graph.grouped_norm(x, norm, spec.norm_groups, self._images[layer.index + 1])
        half = len(bias) // 2
        value, gate = graph.sliced(x, 0, half, axis=1), graph.sliced(x, half, 2 * half, axis=1)
        return graph.add("Mul", [value, graph.add("Sigmoid", [gate])])

    def _residual(self, x: str, name: str, layer: Layer) -> str:
        graph, spec, image = self._graph, self._spec, self._images[layer.index + 1]
        n_hidden = layer.n_channels // spec.dconv_comp
        for depth in range(spec.dconv_depth):
            at, index = f"{name}.layers.{depth}", 3
            hidden = graph.squeezed(x, at, 2**depth, *image)
            if spec.is_recurrent(layer):
                hidden = graph.recurrent(hidden, f"{at}.{index}", (image[0], n_hidden, image[1]))
                index += 1
            if spec.has_attention(layer):
                hidden = graph.attention(hidden, f"{at}.{index}", (image[0], n_hidden, image[1]))
                index += 1
            x = graph.add("Add", [x, graph.widened(hidden, at, index, *image)])
        return x


class _Graph(HybridGraph):
    """What this network is made of besides."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        super().__init__(arrays)
        self._distances: dict[int, tuple[str, str]] = {}

    def grouped_norm(self, x: str, name: str, n_groups: int, image: tuple[int, int]) -> str:
        """Each group of channels of an image (1, channels, rows, columns) at mean 0 and variance 1; then the gain."""
        gain, shift = (self.weight(f"{name}.{part}") for part in ("weight", "bias"))
        per_group = (n_groups, len(gain) // n_groups)
        shape = [*per_group, image[0] * image[1]]
        grouped = self.reshape(x, shape)
        x = self.group_norm(grouped, [2, 1], shape, gain.reshape(*per_group, 1), shift.reshape(*per_group, 1))
        return self.reshape(x, [1, len(gain), *image])

    def recurrent(self, x: str, name: str, shape: tuple[int, int, int]) -> str:
        """A recurrent network along the frames, added to its input (rows, channels, frames)."""
        n_rows, width, n_frames = shape
        half, n_stretches = STRETCH // 2, -(-n_frames // (STRETCH // 2))
        if n_frames <= STRETCH:
            return self.add("Add", [x, self.add("Transpose", [self._lstm(x, name, shape)], perm=[1, 2, 0])])
        missing = (n_stretches + 1) * half - n_frames
        padded = self.add("Pad", [x, self.constant(np.array([0, 0, 0, 0, 0, missing], np.int64))])
        halves = self.reshape(padded, [n_rows, width, n_stretches + 1, half])
        pair = [self.sliced(halves, start, start + n_stretches, axis=2) for start in (0, 1)]
        stretches = self.add("Transpose", [self.add("Concat", pair, axis=3)], perm=[0, 2, 1, 3])
        batch = (n_rows * n_stretches, width, STRETCH)
        y = self._lstm(self.reshape(stretches, batch), name, batch)
        y = self.reshape(y, [STRETCH, n_rows, n_stretches, width])
        y = self.add("Transpose", [y], perm=[1, 3, 2, 0])  # (rows, channels, stretches, frames)
        # The first stretch has nothing before it; what the last one has behind its middle is always padding.
        first = self.sliced(self.sliced(y, 0, 1, axis=2), 0, half // 2, axis=3)
        middles = self.sliced(y, half // 2, half // 2 + half, axis=3)
        joined = self.add(
            "Concat",
            [
                self.reshape(first, [n_rows, width, half // 2]),
                self.reshape(middles, [n_rows, width, n_stretches * half]),
            ],
            axis=2,
        )
        return self.add("Add", [x, self.sliced(joined, 0, n_frames, axis=2)])

    def _lstm(self, x: str, name: str, shape: tuple[int, int, int]) -> str:
        """(batch, channels, frames) → (frames, batch, channels): both directions, and a projection of what they say."""
        n_batch, width, n_frames = shape
        x = self.add("Transpose", [x], perm=[2, 0, 1])
        for layer in range(N_RECURRENT):
            ends = [f"{name}.lstm.{{}}_l{layer}{direction}" for direction in ("", "_reverse")]
            gates = {
                kind: np.stack([lstm_gates(self.weight(end.format(kind))) for end in ends])
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            bias = np.concatenate([gates["bias_ih"], gates["bias_hh"]], axis=1)
            inputs = [x, *(self.constant(array) for array in (gates["weight_ih"], gates["weight_hh"], bias))]
            y = self.add("LSTM", inputs, hidden_size=width, direction="bidirectional")
            y = self.add("Transpose", [y], perm=[0, 2, 1, 3])
            x = self.reshape(y, [n_frames, n_batch, 2 * width])
        return self.matmul(x, self.weight(f"{name}.linear.weight"), self.weight(f"{name}.linear.bias"))

    def attention(self, x: str, name: str, shape: tuple[int, int, int]) -> str:
        """Attention among frames, added to its input (rows, channels, frames)."""
        n_rows, width, n_frames = shape
        n_batch, per_head = n_rows * N_HEADS, width // N_HEADS
        heads = [n_batch, per_head, n_frames]
        query = self.reshape(self._projected(x, f"{name}.query", per_head**-0.5), heads)
        key = self.reshape(self._projected(x, f"{name}.key"), heads)
        content = self.reshape(self._projected(x, f"{name}.content"), heads)
        decay = self.add("Sigmoid", [self._projected(x, f"{name}.query_decay")])
        decay = self.add("Transpose", [self.reshape(decay, [n_batch, N_DECAYS, n_frames])], perm=[0, 2, 1])
        shares = np.arange(1, N_DECAYS + 1, dtype=np.float32)[:, None] / np.float32(2 * N_DECAYS**0.5)
        slope = self.add("MatMul", [decay, self.constant(shares)])  # (batch, frames that ask, 1)
        distance, is_itself = self._distance(n_frames)
        scores = self.add("MatMul", [self.add("Transpose", [query], perm=[0, 2, 1]), key])
        scores = self.add("Sub", [scores, self.add("Mul", [slope, distance])])
        scores = self.add("Where", [is_itself, self.number(ITSELF), scores])
        weights = self.add("Softmax", [scores], axis=-1)
        heard = self.add("MatMul", [weights, self.add("Transpose", [content], perm=[0, 2, 1])])
        heard = self.reshape(self.add("Transpose", [heard], perm=[0, 2, 1]), [n_rows, width, n_frames])
        return self.add("Add", [x, self._projected(heard, f"{name}.proj")])

    def _projected(self, x: str, name: str, scale: float = 1.0) -> str:
        """A 1×1 convolution of (rows, channels, frames), times ``scale``."""
        weight, bias = self.weight(f"{name}.weight")[:, :, 0], self.weight(f"{name}.bias")[:, None]
        product = self.add("MatMul", [self.constant(np.float32(scale) * weight), x])
        return self.add("Add", [product, self.constant(np.float32(scale) * bias)])

    def _distance(self, n_frames: int) -> tuple[str, str]:
        """How far apart two frames are, and whether they are the same one: (frames, frames)."""
        if n_frames not in self._distances:
            places = np.arange(n_frames)
            apart = np.abs(places[:, None] - places)
            self._distances[n_frames] = self.constant(apart.astype(np.float32)), self.constant(apart == 0)
        return self._distances[n_frames]
