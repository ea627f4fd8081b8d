"""The network over split bands as an ONNX graph, built from its weights; rewritten, exactly, for what CPUs are fast at.

* Batch norms are folded into the convolutions before them. Behind the matrices over frequency, whose features they
  scale, they are moved in front of the second matrix, where there are an eighth as many numbers, and the shift becomes
  one more column of it.
* Networks of an ensemble, and stems that are added up, meet as masks, which are coarser than the bins they mask.
* The number of frames stays open: one graph serves whole segments and the short window of live separation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from unweave.errors import CheckpointError
from unweave.families.bands.layout import BOTTLENECK, FRAMES_PER_CELL, N_HEADS, QUERY_WIDTH, SOFTEST, Band, bands_of
from unweave.families.folding import groups_of
from unweave.models.graph_builder import GraphBuilder
from unweave.models.spec import MaskModelSpec

INPUT, OUTPUT = "magnitudes", "estimates"
OPSET, IR_VERSION = 17, 9
NORM_EPSILON = 1e-5  # PyTorch's, of batch and layer norms

Array = npt.NDArray[np.float32]


def build_graph(tensors: Mapping[str, npt.NDArray[Any]], spec: MaskModelSpec) -> onnx.ModelProto:
    """The model of ``spec`` from its weights, by the names that PyTorch gives them.

    `INPUT` (1, channels, frames, bins) → `OUTPUT` (stems, 1, channels, frames, bins), magnitudes both; frames are a
    multiple of 2 to the number of levels. Raises `CheckpointError` where weights are missing or of another shape.
    """
    graph = _Graph()
    prefixes = [f"networks.{k}." for k in range(spec.ensemble)] if spec.ensemble > 1 else [""]
    try:
        networks = [_Network(graph, _Weights(tensors, prefix), spec) for prefix in prefixes]
        masks = [network.masks() for network in networks]
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"these are not the weights of {spec.name}: {error}") from error
    bands = []
    for number, band in enumerate(bands_of(spec.n_bins)):
        mean = _mean(graph, [each[number] for each in masks])
        bands.append(_apply(graph, _folded(graph, mean, spec), band, spec))
    graph.add("Concat", bands, output=OUTPUT, axis=-1)
    axes: list[str | int | None] = [1, spec.n_channels, "frames", spec.n_bins]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "bands",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, axes)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [len(spec.stems), *axes])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="unweave",
    )
    model.ir_version = IR_VERSION
    return model


def _mean(graph: _Graph, masks: Sequence[str]) -> str:
    total = masks[0]
    for each in masks[1:]:
        total = graph.add("Add", [total, each])
    return total if len(masks) == 1 else graph.add("Mul", [total, graph.scalar(1 / len(masks))])


def _folded(graph: _Graph, masks: str, spec: MaskModelSpec) -> str:
    """Masks (1, stems of the network, …) → (1, stems of the model, …): some are added up."""
    if not spec.folds:
        return masks
    parts = []
    for group in groups_of(spec):
        part = graph.add("Gather", [masks, graph.integers(group)], axis=1)
        parts.append(part if len(group) == 1 else graph.add("ReduceSum", [part, graph.integers([1])], keepdims=1))
    return graph.add("Concat", parts, axis=1)


def _apply(graph: _Graph, masks: str, band: Band, spec: MaskModelSpec) -> str:
    """Masks (1, stems, channels · frames per cell · masks per cell, cells in time, cells) → the band's estimates."""
    n_stems, n_channels, n_masks = len(spec.stems), spec.n_channels, band.bins_per_cell // band.bins_per_mask
    apart = graph.reshape(masks, [n_stems * n_channels * FRAMES_PER_CELL, n_masks, -1])
    joined = graph.add("Transpose", [apart], perm=[0, 2, 1])  # each cell's masks side by side
    rows = graph.reshape(joined, [n_stems * n_channels, FRAMES_PER_CELL, -1, band.n_cells * n_masks])
    wide = graph.add("Transpose", [rows], perm=[0, 2, 1, 3])  # …, cells in time, frames, masks
    if band.bins_per_mask > 1:
        # Each mask once for every bin: a product with ones and zeros, which is exact, since broadcasting along a short
        # last axis takes four times as long.
        together = n_masks * math.gcd(band.n_cells, 4)
        spread = np.repeat(np.eye(together, dtype=np.float32), band.bins_per_mask, axis=1)
        wide = graph.add("MatMul", [graph.reshape(wide, [-1, together]), graph.constant(spread)])
    wide = graph.reshape(wide, [n_stems, 1, n_channels, -1, band.stop - band.start])
    return graph.add("Mul", [wide, graph.slice(INPUT, band.start, band.stop)])


@dataclass(frozen=True)
class _Weights:
    """A network's tensors by their names within it, as float32."""

    tensors: Mapping[str, npt.NDArray[Any]]
    prefix: str

    def __getitem__(self, name: str) -> Array:
        return np.asarray(self.tensors[self.prefix + name], np.float32)

    def affine(self, name: str) -> tuple[Array, Array]:
        """A batch norm as a factor and a summand per feature."""
        scale = self[f"{name}.weight"] / np.sqrt(self[f"{name}.running_var"] + np.float32(NORM_EPSILON))
        return scale, self[f"{name}.bias"] - self[f"{name}.running_mean"] * scale


class _Network:
    """One network of `unweave.families.bands.network.BandNet` on its way into a graph."""

    def __init__(self, graph: _Graph, weights: _Weights, spec: MaskModelSpec) -> None:
        self._graph, self._weights, self._spec = graph, weights, spec
        self._cells = [spec.n_bins * 5 // 32 // 2**level for level in range(len(spec.n_filters))]

    def masks(self) -> list[str]:
        """Each band's masks (1, stems, channels · frames per cell · masks per cell, cells in time, cells)."""
        graph, weights, last = self._graph, self._weights, len(self._cells) - 1
        x = self._cut(self._heard())
        skips = []
        for level in range(last):
            skips.append(self._block(x, f"encoder.{level}", level))
            x = graph.convolution(skips[-1], weights[f"down.{level}.weight"], weights[f"down.{level}.bias"], stride=2)
        x = self._block(x, f"encoder.{last}", last)
        if self._spec.time_attention:
            x = self._attention(x)
        for level in reversed(range(last)):
            raised = graph.convolution(x, weights[f"up.{level}.weight"], weights[f"up.{level}.bias"])
            x = graph.add("Add", [graph.add("DepthToSpace", [raised], blocksize=2, mode="CRD"), skips.pop()])
            x = self._block(x, f"decoder.{level}", level)
        return list(self._joined(x))

    def _heard(self) -> str:
        """The fourth root of the magnitudes at one level, weighted by frequency."""
        graph, weights = self._graph, self._weights
        power = graph.add("ReduceMean", [graph.add("Mul", [INPUT, INPUT])], axes=[1, 3], keepdims=1)
        squared = graph.add("ReduceSum", [graph.add("Mul", [power, power]), graph.integers([2])], keepdims=1)
        total = graph.add("ReduceSum", [power, graph.integers([2])], keepdims=1)
        total = graph.add("Max", [total, graph.scalar(SOFTEST**2)])
        level = graph.add("Sqrt", [graph.add("Div", [squared, total])])
        inverse = graph.add("Reciprocal", [graph.add("Max", [level, graph.scalar(SOFTEST)])])
        heard = graph.add("Max", [graph.add("Mul", [INPUT, inverse]), graph.scalar(1e-8)])
        root = graph.add("Sqrt", [graph.add("Sqrt", [heard])])
        gain, shift = graph.constant(weights["gain"]), graph.constant(weights["shift"])
        return graph.add("Add", [graph.add("Mul", [root, gain]), shift])

    def _cut(self, seen: str) -> str:
        parts = []
        for number, band in enumerate(bands_of(self._spec.n_bins)):
            weight, bias = self._weights[f"split.{number}.weight"], self._weights[f"split.{number}.bias"]
            part = self._graph.slice(seen, band.start, band.stop)
            parts.append(self._graph.convolution(part, weight, bias, stride=weight.shape[2:]))
        return self._graph.add("Concat", parts, axis=-1)

    def _block(self, x: str, name: str, level: int) -> str:
        """Two convolutions and the mixing of all frequencies, each added to its input."""
        graph, weights = self._graph, self._weights
        local = x
        for conv, norm in ((0, 1), (3, 4)):
            scale, shift = weights.affine(f"{name}.local.{norm}")
            kernel = weights[f"{name}.local.{conv}.weight"] * scale[:, None, None, None]
            local = graph.add("Relu", [graph.convolution(local, kernel, shift, pad=1)])
        x = graph.add("Add", [x, local])
        first, second = weights[f"{name}.mix.0.weight"], weights[f"{name}.mix.3.weight"]
        if first.shape != (self._cells[level] // BOTTLENECK, self._cells[level]):
            raise ValueError(f"{name}.mix.0.weight has the shape {first.shape}")
        inner_scale, inner_shift = (each[:, None, None] for each in weights.affine(f"{name}.mix.1"))
        outer_scale, outer_shift = (each[:, None, None] for each in weights.affine(f"{name}.mix.4"))
        few = graph.add("MatMul", [x, graph.constant(first.T)])
        few = graph.add("Add", [graph.add("Mul", [few, graph.constant(inner_scale)]), graph.constant(inner_shift)])
        few = graph.add("Mul", [graph.add("Relu", [few]), graph.constant(outer_scale)])
        many = graph.add("MatMul", [few, graph.constant(second.T)])
        many = graph.add("Relu", [graph.add("Add", [many, graph.constant(outer_shift)])])
        return graph.add("Add", [x, many])

    def _attention(self, x: str) -> str:
        """Attention over time: each frame with all its frequencies is one token."""
        graph, weights, n_cells = self._graph, self._weights, self._cells[-1]
        width = self._spec.n_filters[-1]

        def tokens(name: str, per_head: int) -> str:
            made = graph.convolution(x, weights[f"attention.{name}.weight"], weights[f"attention.{name}.bias"])
            split = graph.reshape(made, [1, N_HEADS, per_head, -1, n_cells])
            return graph.reshape(
                graph.add("Transpose", [split], perm=[0, 1, 3, 2, 4]), [1, N_HEADS, -1, per_head * n_cells]
            )

        def normed(name: str) -> str:
            norm = [graph.constant(weights[f"attention.{name}_norm.{part}"]) for part in ("weight", "bias")]
            inputs = [tokens(name, QUERY_WIDTH), *norm]
            return graph.add("LayerNormalization", inputs, axis=-1, epsilon=NORM_EPSILON)

        keys = graph.add("Transpose", [normed("key")], perm=[0, 1, 3, 2])
        scores = graph.add("MatMul", [normed("query"), keys])
        scores = graph.add("Mul", [scores, graph.scalar((QUERY_WIDTH * n_cells) ** -0.5)])
        heard = graph.add("MatMul", [graph.add("Softmax", [scores], axis=-1), tokens("value", width // N_HEADS)])
        split = graph.reshape(heard, [1, N_HEADS, -1, width // N_HEADS, n_cells])
        joined = graph.reshape(graph.add("Transpose", [split], perm=[0, 1, 3, 2, 4]), [1, width, -1, n_cells])
        out = graph.convolution(joined, weights["attention.out.weight"], weights["attention.out.bias"])
        return graph.add("Add", [x, out])

    def _joined(self, x: str) -> Sequence[str]:
        graph, weights, spec = self._graph, self._weights, self._spec
        n_stems = len(spec.network_stems or spec.stems)
        parts, start = [], 0
        for number, band in enumerate(bands_of(spec.n_bins)):
            part = graph.slice(x, start, start + band.n_cells)
            logits = graph.convolution(part, weights[f"join.{number}.weight"], weights[f"join.{number}.bias"])
            n_masks = band.bins_per_cell // band.bins_per_mask
            split = graph.reshape(logits, [1, n_stems, spec.n_channels * FRAMES_PER_CELL * n_masks, -1, band.n_cells])
            # In simple steps: ONNX Runtime's own softmax and reductions are slow on all axes but the last.
            highest = graph.add("Max", graph.split(split, n_stems))
            powers = graph.add("Exp", [graph.add("Sub", [split, highest])])
            total = graph.add("Sum", graph.split(powers, n_stems))
            parts.append(graph.add("Div", [powers, total]))
            start += band.n_cells
        return parts


class _Graph(GraphBuilder):
    """What this network is made of, besides plain nodes."""

    def __init__(self) -> None:
        super().__init__()
        self._slices: dict[tuple[str, int, int], str] = {}

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def integers(self, values: Sequence[int]) -> str:
        return self.constant(np.array(values, np.int64))

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        return self.add("Reshape", [x, self.integers(shape)])

    def slice(self, x: str, start: int, stop: int) -> str:
        """A stretch of the last axis."""
        if (x, start, stop) not in self._slices:
            bounds = [self.integers([value]) for value in (start, stop, -1)]
            self._slices[x, start, stop] = self.add("Slice", [x, *bounds])
        return self._slices[x, start, stop]

    def split(self, x: str, n_parts: int) -> list[str]:
        """Equal parts of the second axis."""
        names = [f"Split_{len(self.nodes)}_{part}" for part in range(n_parts)]
        self.nodes.append(helper.make_node("Split", [x], names, name=names[0], axis=1))
        return names

    def convolution(self, x: str, weight: Array, bias: Array, *, stride: int | Sequence[int] = 1, pad: int = 0) -> str:
        """Weight (outputs, inputs, height, width), as PyTorch has it."""
        strides = [stride, stride] if isinstance(stride, int) else list(stride)
        inputs = [x, self.constant(weight), self.constant(bias)]
        return self.add("Conv", inputs, kernel_shape=weight.shape[2:], strides=strides, pads=[pad] * 4)
