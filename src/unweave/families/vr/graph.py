"""A VR network as an ONNX graph of fixed shapes.

Batch norms are folded into the convolutions before them. The same walk through the network holds the arrays of a
checkpoint against their places, without reading them (`check_network`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.errors import CheckpointError
from unweave.families.roformer.writer import GraphWriter
from unweave.families.vr.spec import N_CHANNELS, NETWORK, VrSpec
from unweave.models.checkpoints import Tensors
from unweave.models.graph_builder import lstm_gates

INPUT = "magnitudes"  # (1, 2, bins, frames), of the mixture
OUTPUT = "masks"  # (1, 2, bins, frames); the frames at either end are of no use
WEIGHTS = "network.bin"
NORM_EPSILON = 1e-5  # PyTorch's
LEAK = 0.01

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Map:
    """A feature map in the graph: (1, channels, bins, frames)."""

    name: str
    n_channels: int
    n_bins: int
    n_frames: int


def write_graph(spec: VrSpec, tensors: Tensors, folder: Path) -> Path:
    """Write `INPUT` → `OUTPUT` as ``network.onnx`` and ``network.bin`` in ``folder``; returns the former's path."""
    path = folder / NETWORK
    shape = (1, N_CHANNELS, spec.n_bins, spec.n_frames)
    with (folder / WEIGHTS).open("wb") as data:
        graph = GraphWriter(data, WEIGHTS)
        _Builder(tensors, graph, spec.name).build(spec)
        graph.save(path, "vr", {INPUT: shape}, {OUTPUT: shape})
    return path


def check_network(spec: VrSpec, tensors: Tensors) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the arrays that the network has. Raises `CheckpointError` where they do not fit."""
    walk = _Builder(tensors, None, spec.name)
    walk.build(spec)
    return walk.shapes


class _Builder:
    """A walk through the network; without a ``graph`` it only looks at shapes."""

    def __init__(self, tensors: Tensors, graph: GraphWriter | None, name: str) -> None:
        self._tensors = tensors
        self._graph = graph
        self._name = name
        self.shapes: dict[str, tuple[int, ...]] = {}

    def build(self, spec: VrSpec) -> None:
        """All nodes, from `INPUT` to `OUTPUT`."""
        x = _Map(INPUT, N_CHANNELS, spec.n_bins, spec.n_frames)
        found = self._cascade_5(x) if spec.version == "5" else self._cascade_51(x)
        self._expect("out.weight", (N_CHANNELS, found.n_channels, 1, 1))
        out = self._add("Conv", [found.name, self._constant(lambda: self._array("out.weight"))])
        if (found.n_bins, found.n_frames) != (spec.n_bins, spec.n_frames):
            raise CheckpointError(f"{self._name} makes {found.n_bins} bins of {spec.n_bins}, which its spectrum has")
        self._add("Sigmoid", [out], OUTPUT)

    def _cascade_5(self, x: _Map) -> _Map:
        low, high = self._halves(x)
        parts = [self._net_5(half, f"stg1_{which}_band_net") for half, which in ((low, "low"), (high, "high"))]
        first = self._joined(parts, axis=2)
        second = self._net_5(self._conv(self._joined([x, first]), "stg2_bridge", kernel=1), "stg2_full_band_net")
        bridge = self._conv(self._joined([x, first, second]), "stg3_bridge", kernel=1)
        return self._net_5(bridge, "stg3_full_band_net")

    def _cascade_51(self, x: _Map) -> _Map:
        low, high = self._halves(x)
        low_1 = self._conv(self._net_51(low, "stg1_low_band_net.0"), "stg1_low_band_net.1", kernel=1)
        high_1 = self._net_51(high, "stg1_high_band_net")
        second = self._net_51(self._joined([low, low_1]), "stg2_low_band_net.0")
        low_2 = self._conv(second, "stg2_low_band_net.1", kernel=1)
        high_2 = self._net_51(self._joined([high, high_1]), "stg2_high_band_net")
        halves = [self._joined(parts, axis=2) for parts in ([low_1, high_1], [low_2, high_2])]
        return self._net_51(self._joined([x, *halves]), "stg3_full_band_net")

    def _net_5(self, x: _Map, name: str) -> _Map:
        skips = []
        n_levels = 5 if f"{name}.enc5.conv1.conv.0.weight" in self._tensors else 4
        for level in range(1, n_levels + 1):
            skips.append(self._conv(x, f"{name}.enc{level}.conv1", leaky=True))
            x = self._conv(skips[-1], f"{name}.enc{level}.conv2", stride=2, leaky=True)
        x = self._pyramid_5(x, f"{name}.aspp")
        for level in range(n_levels, 0, -1):
            x = self._conv(self._with_skip(x, skips.pop()), f"{name}.dec{level}.conv")
        return x

    def _net_51(self, x: _Map, name: str) -> _Map:
        skips = [self._conv(x, f"{name}.enc1")]
        for level in range(2, 6):
            strided = self._conv(skips[-1], f"{name}.enc{level}.conv1", stride=2, leaky=True)
            skips.append(self._conv(strided, f"{name}.enc{level}.conv2", leaky=True))
        x = self._pyramid_51(skips.pop(), f"{name}.aspp")
        for level in range(4, 1, -1):
            x = self._conv(self._with_skip(x, skips.pop()), f"{name}.dec{level}.conv1")
        x = self._joined([x, self._recurrent(x, f"{name}.lstm_dec2")])
        return self._conv(self._with_skip(x, skips.pop()), f"{name}.dec1.conv1")

    def _pyramid_5(self, x: _Map, name: str) -> _Map:
        parts = [self._pooled(x, f"{name}.conv1.1"), self._conv(x, f"{name}.conv2", kernel=1)]
        parts += [self._separable(x, f"{name}.conv{place}", dilation) for place, dilation in ((3, 4), (4, 8), (5, 16))]
        if f"{name}.conv7.conv.0.weight" in self._tensors:
            # Files hold weights for both, but in every program that plays them the two are one layer, whose weights
            # are loaded twice: those of the seventh stay.
            last = self._separable(x, f"{name}.conv7", 16)
            for key in [key for key in self.shapes if key.startswith(f"{name}.conv7.")]:
                self._expect(key.replace(".conv7.", ".conv6."), self.shapes[key])
            parts += [last, last]
        elif f"{name}.conv6.conv.0.weight" in self._tensors:
            parts.append(self._separable(x, f"{name}.conv6", 16))
        return self._conv(self._joined(parts), f"{name}.bottleneck.0", kernel=1)

    def _pyramid_51(self, x: _Map, name: str) -> _Map:
        parts = [self._pooled(x, f"{name}.conv1.1"), self._conv(x, f"{name}.conv2", kernel=1)]
        for place, dilation in ((3, (4, 2)), (4, (8, 4)), (5, (12, 6))):
            parts.append(self._conv(x, f"{name}.conv{place}", dilation=dilation))
        return self._conv(self._joined(parts), f"{name}.bottleneck", kernel=1)

    def _pooled(self, x: _Map, name: str) -> _Map:
        """The mean over all bins, convolved and repeated."""
        mean = _Map(self._add("ReduceMean", [x.name], axes=[2], keepdims=1), x.n_channels, 1, x.n_frames)
        y = self._conv(mean, name, kernel=1)
        wide = self._constant(lambda: np.array([1, y.n_channels, x.n_bins, x.n_frames], np.int64))
        return _Map(self._add("Expand", [y.name, wide]), y.n_channels, x.n_bins, x.n_frames)

    def _recurrent(self, x: _Map, name: str) -> _Map:
        """One channel, by a recurrent layer over time: (1, channels, bins, frames) → (1, 1, bins, frames)."""
        one = self._conv(x, f"{name}.conv", kernel=1)
        ends = ("l0", "l0_reverse")
        width = self._shape(f"{name}.lstm.weight_hh_l0")[-1]
        for end in ends:
            self._expect(f"{name}.lstm.weight_ih_{end}", (4 * width, x.n_bins))
            self._expect(f"{name}.lstm.weight_hh_{end}", (4 * width, width))
            self._expect(f"{name}.lstm.bias_ih_{end}", (4 * width,))
            self._expect(f"{name}.lstm.bias_hh_{end}", (4 * width,))
        self._expect(f"{name}.dense.0.weight", (x.n_bins, 2 * width))
        self._expect(f"{name}.dense.0.bias", (x.n_bins,))
        turned = self._add("Transpose", [one.name], perm=[3, 0, 1, 2])
        flat = self._add("Reshape", [turned, self._sizes(x.n_frames, 1, x.n_bins)])
        base = f"{name}.lstm"
        parts = [
            self._constant(lambda: np.stack([self._gates(f"{base}.weight_ih_{end}") for end in ends])),
            self._constant(lambda: np.stack([self._gates(f"{base}.weight_hh_{end}") for end in ends])),
            self._constant(lambda: np.stack([self._biases(base, end) for end in ends])),
        ]
        heard = self._add("LSTM", [flat, *parts], hidden_size=width, direction="bidirectional")
        rows = self._add("Reshape", [heard, self._sizes(x.n_frames, 2 * width)])
        gain, shift = self._norm(f"{name}.dense.1", x.n_bins)
        weights = self._constant(lambda: (self._array(f"{name}.dense.0.weight") * gain()[:, None]).T.astype(np.float32))
        bias = self._constant(lambda: (self._array(f"{name}.dense.0.bias") * gain() + shift()).astype(np.float32))
        dense = self._add("Relu", [self._add("Add", [self._add("MatMul", [rows, weights]), bias])])
        back = self._add("Transpose", [dense], perm=[1, 0])
        return _Map(self._add("Reshape", [back, self._sizes(1, 1, x.n_bins, x.n_frames)]), 1, x.n_bins, x.n_frames)

    def _conv(
        self,
        x: _Map,
        name: str,
        *,
        kernel: int = 3,
        stride: int = 1,
        dilation: tuple[int, int] = (1, 1),
        leaky: bool = False,
    ) -> _Map:
        """Convolution, norm and activation: ``conv.0`` and ``conv.1`` of ``name``."""
        n_out = self._shape(f"{name}.conv.0.weight")[0]
        self._expect(f"{name}.conv.0.weight", (n_out, x.n_channels, kernel, kernel))
        gain, shift = self._norm(f"{name}.conv.1", n_out)
        weights = self._constant(
            lambda: (self._array(f"{name}.conv.0.weight") * gain()[:, None, None, None]).astype(np.float32)
        )
        pads = [size * (kernel // 2) for size in dilation] * 2
        inputs = [x.name, weights, self._constant(lambda: shift().astype(np.float32))]
        y = self._add("Conv", inputs, strides=[stride, stride], dilations=list(dilation), pads=pads)
        y = self._add("LeakyRelu", [y], alpha=LEAK) if leaky else self._add("Relu", [y])
        return _Map(y, n_out, -(-x.n_bins // stride), -(-x.n_frames // stride))

    def _separable(self, x: _Map, name: str, dilation: int) -> _Map:
        """Each channel by itself, then all at each point: ``conv.0``, ``conv.1`` and the norm ``conv.2``."""
        n_out = self._shape(f"{name}.conv.1.weight")[0]
        self._expect(f"{name}.conv.0.weight", (x.n_channels, 1, 3, 3))
        self._expect(f"{name}.conv.1.weight", (n_out, x.n_channels, 1, 1))
        gain, shift = self._norm(f"{name}.conv.2", n_out)
        kernels = self._constant(lambda: self._array(f"{name}.conv.0.weight").astype(np.float32))
        pads, dilations = [dilation] * 4, [dilation, dilation]
        y = self._add("Conv", [x.name, kernels], group=x.n_channels, pads=pads, dilations=dilations)
        weights = self._constant(
            lambda: (self._array(f"{name}.conv.1.weight") * gain()[:, None, None, None]).astype(np.float32)
        )
        y = self._add("Relu", [self._add("Conv", [y, weights, self._constant(lambda: shift().astype(np.float32))])])
        return _Map(y, n_out, x.n_bins, x.n_frames)

    def _norm(self, name: str, n_channels: int) -> tuple[Callable[[], Float64], Callable[[], Float64]]:
        """What a batch norm multiplies by and adds, when they are asked for."""
        for part in ("weight", "bias", "running_mean", "running_var"):
            self._expect(f"{name}.{part}", (n_channels,))

        def gain() -> Float64:
            return self._array(f"{name}.weight") / np.sqrt(self._array(f"{name}.running_var") + NORM_EPSILON)

        def shift() -> Float64:
            return self._array(f"{name}.bias") - self._array(f"{name}.running_mean") * gain()

        return gain, shift

    def _with_skip(self, x: _Map, skip: _Map) -> _Map:
        """``x`` at twice the size, and the middle of ``skip``."""
        n_bins, n_frames = 2 * x.n_bins, 2 * x.n_frames
        if skip.n_bins != n_bins or skip.n_frames < n_frames:
            raise CheckpointError(f"{self._name} has {skip.n_bins} bins where an even number is needed")
        sizes = self._constant(lambda: np.array([1, x.n_channels, n_bins, n_frames], np.int64))
        mode = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
        wide = _Map(self._add("Resize", [x.name, "", "", sizes], **mode), x.n_channels, n_bins, n_frames)
        first = (skip.n_frames - n_frames) // 2
        return self._joined([wide, self._part(skip, 3, first, first + n_frames)])

    def _halves(self, x: _Map) -> tuple[_Map, _Map]:
        middle = x.n_bins // 2
        return self._part(x, 2, 0, middle), self._part(x, 2, middle, x.n_bins)

    def _part(self, x: _Map, axis: int, start: int, stop: int) -> _Map:
        if (start, stop) == (0, (x.n_bins, x.n_frames)[axis - 2]):
            return x
        edges = [self._sizes(edge) for edge in (start, stop, axis)]
        n_bins, n_frames = (stop - start, x.n_frames) if axis == 2 else (x.n_bins, stop - start)
        return _Map(self._add("Slice", [x.name, *edges]), x.n_channels, n_bins, n_frames)

    def _joined(self, maps: Sequence[_Map], axis: int = 1) -> _Map:
        first = maps[0]
        joined = self._add("Concat", [x.name for x in maps], axis=axis)
        if axis == 1:
            return _Map(joined, sum(x.n_channels for x in maps), first.n_bins, first.n_frames)
        if len({x.n_channels for x in maps}) > 1:
            raise CheckpointError(
                f"{self._name} has halves of {' and '.join(str(x.n_channels) for x in maps)} channels"
            )
        return _Map(joined, first.n_channels, sum(x.n_bins for x in maps), first.n_frames)

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self._tensors:
            raise CheckpointError(f"{self._name} is a VR network without {name}")
        shape = self._tensors.shape(name)
        if not shape or not all(shape):
            raise CheckpointError(f"{self._name}: {name} has the shape {shape}")
        return shape

    def _expect(self, name: str, shape: tuple[int, ...]) -> None:
        if self._shape(name) != shape:
            raise CheckpointError(f"{self._name}: {name} has the shape {self._shape(name)}, expected {shape}")
        self.shapes[name] = shape

    def _array(self, name: str) -> Float64:
        return np.asarray(self._tensors[name], np.float64)

    def _gates(self, name: str) -> npt.NDArray[np.float32]:
        return lstm_gates(np.asarray(self._tensors[name], np.float32))

    def _biases(self, name: str, end: str) -> npt.NDArray[np.float32]:
        return np.concatenate([self._gates(f"{name}.bias_{kind}_{end}") for kind in ("ih", "hh")])

    def _constant(self, made: Callable[[], npt.NDArray[Any]]) -> str:
        if self._graph is None:
            return ""
        values = made()
        return self._graph.constant(values.astype(np.float32) if values.dtype == np.float64 else values)

    def _sizes(self, *sizes: int) -> str:
        return self._constant(lambda: np.array(sizes, np.int64))

    def _add(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        return self._graph.add(kind, inputs, output, **attributes) if self._graph is not None else ""
