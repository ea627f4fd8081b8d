"""The networks of an Open-Unmix as one ONNX graph, for any number of frames.

Scaling of the input, the norms and scaling of the output are linear and are folded into the layers beside them, in
double precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.families.openunmix.spec import NETWORK, OpenUnmixSpec
from unweave.families.roformer.writer import GraphWriter
from unweave.models.graph_builder import lstm_gates

INPUT = "magnitudes"  # (frames, channels, bins), of the mixture
OUTPUT = "estimates"  # (stems, frames, channels, bins)
WEIGHTS = "network.bin"
NORM_EPSILON = 1e-5  # PyTorch's

Arrays = Mapping[str, npt.NDArray[np.generic]]
Float64 = npt.NDArray[np.float64]


def write_graph(spec: OpenUnmixSpec, tensors: Arrays, folder: Path) -> Path:
    """Write `INPUT` → `OUTPUT` as ``network.onnx`` and ``network.bin`` in ``folder``; returns the former's path."""
    path = folder / NETWORK
    shape = ("frames", spec.n_channels, spec.n_bins)
    with (folder / WEIGHTS).open("wb") as data:
        graph = GraphWriter(data, WEIGHTS)
        starts, ends, axes = (graph.constant(np.array([k], np.int64)) for k in (0, spec.n_input_bins, 2))
        lowest = graph.add("Slice", [INPUT, starts, ends, axes])
        flat = graph.add("Reshape", [lowest, graph.shape(-1, spec.n_channels * spec.n_input_bins)])
        first = graph.constant(np.zeros(1, np.int64))
        stems = []
        for prefix in spec.prefixes:
            gains = _Network(spec, tensors, prefix, graph).gains(flat)
            stems.append(graph.add("Unsqueeze", [graph.add("Mul", [gains, INPUT]), first]))
        graph.add("Concat", stems, OUTPUT, axis=0)
        graph.save(path, "openunmix", {INPUT: shape}, {OUTPUT: (len(spec.stems), *shape)})
    return path


class _Network:
    """The network for one stem."""

    def __init__(self, spec: OpenUnmixSpec, tensors: Arrays, prefix: str, graph: GraphWriter) -> None:
        self._spec = spec
        self._tensors = tensors
        self._prefix = prefix
        self._graph = graph

    def gains(self, x: str) -> str:
        """(frames, channels · input bins) → factors of the magnitudes, (frames, channels, bins)."""
        spec, graph = self._spec, self._graph
        x = graph.add("Tanh", [self._linear(x, *self._first())])
        x = graph.add("Concat", [x, self._recurrent(x)], axis=1)
        x = graph.add("Relu", [self._linear(x, *self._normed(2, self._array("fc2.weight")))])
        weights, bias = self._normed(3, self._array("fc3.weight"))
        scale = np.tile(self._array("output_scale"), spec.n_channels)
        bias = bias * scale + np.tile(self._array("output_mean"), spec.n_channels)
        x = graph.add("Relu", [self._linear(x, weights * scale[:, None], bias)])
        return graph.add("Reshape", [x, graph.shape(-1, spec.n_channels, spec.n_bins)])

    def _array(self, name: str) -> Float64:
        return np.asarray(self._tensors[f"{self._prefix}{name}"], np.float64)

    def _linear(self, x: str, weights: Float64, bias: Float64) -> str:
        product = self._graph.add("MatMul", [x, self._graph.constant(weights.T.astype(np.float32))])
        return self._graph.add("Add", [product, self._graph.constant(bias.astype(np.float32))])

    def _normed(self, layer: int, weights: Float64, bias: Float64 | None = None) -> tuple[Float64, Float64]:
        """A linear layer and the batch norm behind it as one linear layer."""
        norm = f"bn{layer}"
        gain = self._array(f"{norm}.weight") / np.sqrt(self._array(f"{norm}.running_var") + NORM_EPSILON)
        moved = (0.0 if bias is None else bias) - self._array(f"{norm}.running_mean")
        return weights * gain[:, None], moved * gain + self._array(f"{norm}.bias")

    def _first(self) -> tuple[Float64, Float64]:
        """The first layer with the scaling of its input, (x + mean) · scale in every channel."""
        n_channels = self._spec.n_channels
        scaled = self._array("fc1.weight") * np.tile(self._array("input_scale"), n_channels)
        return self._normed(1, scaled, scaled @ np.tile(self._array("input_mean"), n_channels))

    def _recurrent(self, x: str) -> str:
        """(frames, hidden) → (frames, directions · width)."""
        spec, graph = self._spec, self._graph
        directions = ("", "_reverse") if spec.is_bidirectional else ("",)
        batch = graph.constant(np.ones(1, np.int64))
        for layer in range(spec.n_recurrent):
            ends = [f"l{layer}{direction}" for direction in directions]
            parts = [
                graph.constant(np.stack([self._gates(f"lstm.weight_{kind}_{end}") for end in ends]))
                for kind in ("ih", "hh")
            ]
            biases = [[self._gates(f"lstm.bias_{kind}_{end}") for kind in ("ih", "hh")] for end in ends]
            parts.append(graph.constant(np.stack([np.concatenate(pair) for pair in biases])))
            y = graph.add(
                "LSTM",
                [graph.add("Unsqueeze", [x, batch]), *parts],
                hidden_size=spec.recurrent_width,
                direction="bidirectional" if spec.is_bidirectional else "forward",
            )  # (frames, directions, 1, width)
            x = graph.add("Reshape", [y, graph.shape(-1, spec.recurrent_width * len(directions))])
        return x

    def _gates(self, name: str) -> npt.NDArray[np.float32]:
        return lstm_gates(np.asarray(self._tensors[f"{self._prefix}{name}"], np.float32))
