"""An SCNet as an ONNX graph of fixed shapes.

What is done otherwise than in the training code, all of it exact:

* A gate, GLU, is two convolutions, one of which ends in a sigmoid, and a product: the halves are never cut apart.
* The residual modules norm each row of frequencies by itself. Rows are the batch there, so that the numbers of one norm
  lie side by side; gain and shift of the norm go into the convolution behind it.
* The decoder's convolutions see every channel twice: the two halves of their weights are added, which halves the work.
  At stride one, a transposed convolution is a convolution with its kernel turned round.
* The recurrent layers keep rows, frames and channels in this order, in which recurrence along the rows needs no
  transposition. Gain and shift of their norms go into the weights.
* The Fourier transform over the frames is a product with a table of cosines and sines.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.families.roformer.writer import GraphWriter
from unweave.families.scnet.spec import PARTS, Band, ScnetSpec
from unweave.models.graph_builder import lstm_gates

INPUT = "spectrum"  # (1, 4, bins, frames): real and imaginary part of the left channel, then of the right one
OUTPUT = "spectra"  # (1, 4 · stems, bins, frames): the same for each stem; masks where the network gives masks
NETWORK, WEIGHTS = "network.onnx", "network.bin"
EPSILON = 1e-5  # of every norm

Array = npt.NDArray[np.float32]


def write_network(spec: ScnetSpec, tensors: Mapping[str, npt.NDArray[np.generic]], folder: Path) -> None:
    """Write `INPUT` → `OUTPUT` as ``network.onnx`` and ``network.bin`` in ``folder``.

    ``tensors`` are named as in ``spec.shapes``. One array at a time is in memory.
    """
    with (folder / WEIGHTS).open("wb") as data:
        graph = GraphWriter(data, WEIGHTS)
        _Builder(spec, tensors, graph).build()
        image = (spec.n_bins, spec.n_frames)
        outputs = {OUTPUT: (1, PARTS * len(spec.stems), *image)}
        graph.save(folder / NETWORK, "scnet", {INPUT: (1, PARTS, *image)}, outputs)


class _Builder:
    def __init__(self, spec: ScnetSpec, tensors: Mapping[str, npt.NDArray[np.generic]], graph: GraphWriter) -> None:
        self._spec = spec
        self._tensors = tensors
        self._graph = graph

    def build(self) -> None:
        """All nodes, from `INPUT` to `OUTPUT`."""
        spec, graph = self._spec, self._graph
        levels = spec.levels
        x = INPUT
        if spec.masked:
            x = graph.add("Add", [x, graph.constant(self._array("pos_embed_f"))])
        skips = []
        for level, bands in enumerate(levels):
            skips.append(self._compressed(x, level, bands))
            x = self._convolved(skips[-1], f"encoder.{level}.globalconv", pads=[1, 1, 1, 1])
        x = self._separated(x)
        for turn, (level, bands) in enumerate(reversed(list(enumerate(levels)))):
            x = self._fused(x, skips[level], f"decoder.{turn}.0.conv", spec.dims[level + 1])
            x = self._expanded(x, f"decoder.{turn}.1.convtrs", bands)
        if spec.masked:
            x = self._gelu(self._convolved(x, "mask_layer.0", pads=[1, 1, 1, 1]))
            x = graph.add("Tanh", [self._convolved(x, "mask_layer.2")])
        graph.add("Identity", [x], OUTPUT)

    def _array(self, name: str) -> Array:
        return np.asarray(self._tensors[name], np.float32)

    def _weights(self, name: str) -> tuple[Array, Array]:
        return self._array(f"{name}.weight"), self._array(f"{name}.bias")

    def _convolution(self, x: str, weight: Array, bias: Array | None, pads: list[int], **more: Any) -> str:
        inputs = [x, self._graph.constant(weight)] + ([] if bias is None else [self._graph.constant(bias)])
        return self._graph.add("Conv", inputs, kernel_shape=weight.shape[2:], pads=pads, **more)

    def _convolved(self, x: str, name: str, pads: list[int] | None = None, **more: Any) -> str:
        weight, bias = self._weights(name)
        return self._convolution(x, weight, bias, pads or [0, 0, 0, 0], **more)

    def _gelu(self, x: str) -> str:
        return self._graph.add_own("Gelu", [x])

    def _compressed(self, x: str, level: int, bands: tuple[Band, ...]) -> str:
        """(1, channels, rows, frames) → each band compressed and refined, one below the other."""
        graph, spec = self._graph, self._spec
        parts = graph.split_at(x, [band.n_rows for band in bands], axis=2)
        refined = []
        for index, (band, part) in enumerate(zip(bands, parts, strict=True)):
            name = f"encoder.{level}.SDlayer.convs.{index}"
            strides = [spec.band_strides[index], 1]
            part = self._convolved(part, name, pads=[band.before, 0, band.after, 0], strides=strides)
            rows = graph.add("Transpose", [part], perm=[2, 1, 0, 3])  # (rows, channels, 1, frames)
            for depth in range(spec.conv_depths[index]):
                rows = self._residual(rows, f"encoder.{level}.conv_modules.{index}.layers.{depth}", band.n_compressed)
            refined.append(graph.add("Transpose", [self._gelu(rows)], perm=[2, 1, 0, 3]))
        return graph.add("Concat", refined, axis=2)

    def _residual(self, x: str, name: str, n_rows: int) -> str:
        """One residual module, on (rows, channels, 1, frames)."""
        graph = self._graph
        weight, bias = self._weights(f"{name}.1")
        gain, shift = self._weights(f"{name}.0")
        hidden, n_frames, reach = len(weight) // 2, self._spec.n_frames, self._spec.conv_kernel // 2
        normed = self._row_norm(x, n_rows, weight.shape[1])
        # The shift is zero outside of the segment like everything else, hence less at its ends.
        taps = np.stack([_counted(n_frames, tap - reach) for tap in range(weight.shape[2])])
        constant = bias[:, None] + np.einsum("oik,i,kt->ot", weight, shift, taps)
        scaled = (weight * gain[:, None])[:, :, None]
        halves = []
        for half in (slice(0, hidden), slice(hidden, None)):
            part = self._convolution(normed, scaled[half], None, [0, reach, 0, reach])
            halves.append(graph.add("Add", [part, graph.constant(constant[None, half, None].astype(np.float32))]))
        x_hidden = graph.add("Mul", [halves[0], graph.add("Sigmoid", [halves[1]])])
        weight, bias = self._weights(f"{name}.3")
        x_hidden = self._convolution(x_hidden, weight[:, :, None], bias, [0, reach, 0, reach], group=hidden)
        x_hidden = self._row_norm(x_hidden, n_rows, hidden)
        gain, shift = self._weights(f"{name}.4")
        x_hidden = graph.add("Mul", [x_hidden, graph.constant(gain[:, None, None])])
        x_hidden = graph.add("Add", [x_hidden, graph.constant(shift[:, None, None])])
        x_hidden = graph.add("Mul", [x_hidden, graph.add("Sigmoid", [x_hidden])])
        weight, bias = self._weights(f"{name}.6")
        return graph.add("Add", [x, self._convolution(x_hidden, weight[:, :, None], bias, [0, 0, 0, 0])])

    def _row_norm(self, x: str, n_rows: int, n_channels: int) -> str:
        """Each row at mean 0 and variance 1 over its channels and frames."""
        graph, n_frames = self._graph, self._spec.n_frames
        flat = graph.add("Reshape", [x, graph.shape(n_rows, 1, n_channels * n_frames)])
        ones, zeros = graph.constant(np.ones(1, np.float32)), graph.constant(np.zeros(1, np.float32))
        normed = graph.add("InstanceNormalization", [flat, ones, zeros], epsilon=EPSILON)
        return graph.add("Reshape", [normed, graph.shape(n_rows, n_channels, 1, n_frames)])

    def _separated(self, x: str) -> str:
        """The recurrent layers, on (1, channels, rows, frames)."""
        graph, spec = self._graph, self._spec
        n_rows, width = spec.n_rows, spec.dims[-1]
        forward, backward = (graph.constant(table) for table in _fourier_tables(spec.n_frames))
        n_spectral = spec.n_frames // 2 + 1
        x = graph.add("Reshape", [x, graph.shape(width, n_rows, spec.n_frames)])
        x = graph.add("Transpose", [x], perm=[1, 2, 0])  # (rows, frames, channels)
        for layer in range(spec.n_layers):
            name = f"separation_net.dp_modules.{layer}"
            for axis in range(2):
                x = self._recurrent(x, name, axis)
            if layer % 2 == 0:  # frames → (real and imaginary part as channels)
                x = graph.add("MatMul", [forward, x])
                x = graph.add("Reshape", [x, graph.shape(n_rows, 2, n_spectral, width)])
                x = graph.add("Transpose", [x], perm=[0, 2, 1, 3])
                x = graph.add("Reshape", [x, graph.shape(n_rows, n_spectral, 2 * width)])
            else:
                x = graph.add("Reshape", [x, graph.shape(n_rows, n_spectral, 2, width)])
                x = graph.add("Transpose", [x], perm=[0, 2, 1, 3])
                x = graph.add("Reshape", [x, graph.shape(n_rows, 2 * n_spectral, width)])
                x = graph.add("MatMul", [backward, x])
        x = graph.add("Transpose", [x], perm=[2, 0, 1])
        return graph.add("Reshape", [x, graph.shape(1, width, n_rows, spec.n_frames)])

    def _recurrent(self, x: str, name: str, axis: int) -> str:
        """(rows, columns, channels), plus what recurrence along the rows (axis 0) or the columns (1) makes of it."""
        graph = self._graph
        gain, shift = self._weights(f"{name}.norm_layers.{axis}")
        normed = self._norm(x)
        if axis == 1:
            normed = graph.add("Transpose", [normed], perm=[1, 0, 2])
        inputs, recurrent, biases = [], [], []
        for suffix in ("", "_reverse"):
            arrays = {
                key: lstm_gates(self._array(f"{name}.lstm_layers.{axis}.{key}_l0{suffix}"))
                for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            inputs.append(arrays["weight_ih"] * gain)
            recurrent.append(arrays["weight_hh"])
            moved = arrays["bias_ih"] + arrays["weight_ih"].astype(np.float64) @ shift
            biases.append(np.concatenate([moved.astype(np.float32), arrays["bias_hh"]]))
        hidden = recurrent[0].shape[1]
        states = graph.add(
            "LSTM",
            [normed, *(graph.constant(np.stack(arrays)) for arrays in (inputs, recurrent, biases))],
            hidden_size=hidden,
            direction="bidirectional",
        )  # (steps, directions, batch, hidden)
        states = graph.add("Transpose", [states], perm=[0, 2, 1, 3] if axis == 0 else [2, 0, 1, 3])
        weight, bias = self._weights(f"{name}.linear_layers.{axis}")
        states = graph.add("Reshape", [states, graph.shape(0, 0, 2 * hidden)])
        added = graph.add("MatMul", [states, graph.constant(weight.T)])
        return graph.add("Add", [graph.add("Add", [added, graph.constant(bias)]), x])

    def _norm(self, x: str) -> str:
        """All at mean 0 and variance 1; summed axis by axis, which is a hundred times more exact than at once."""
        graph = self._graph
        centred = graph.add("Sub", [x, self._mean(x)])
        variance = self._mean(graph.add("Mul", [centred, centred]))
        variance = graph.add("Add", [variance, graph.constant(np.float32(EPSILON))])
        return graph.add("Div", [centred, graph.add("Sqrt", [variance])])

    def _mean(self, x: str) -> str:
        for axis in (2, 1, 0):
            x = self._graph.add("ReduceMean", [x], axes=[axis], keepdims=1)
        return x

    def _fused(self, x: str, skip: str, name: str, n_channels: int) -> str:
        """The sum with what the encoder had here, and a gated convolution that sees each channel twice."""
        graph = self._graph
        weight, bias = self._weights(name)
        once = weight[:, :n_channels] + weight[:, n_channels:]
        x = graph.add("Add", [x, skip])
        pads = [1, 1, 1, 1]
        value = self._convolution(x, once[:n_channels], bias[:n_channels], pads)
        gate = self._convolution(x, once[n_channels:], bias[n_channels:], pads)
        return graph.add("Mul", [value, graph.add("Sigmoid", [gate])])

    def _expanded(self, x: str, name: str, bands: tuple[Band, ...]) -> str:
        """The bands at the number of rows that they had in the encoder."""
        graph = self._graph
        expanded = []
        for index, part in enumerate(graph.split_at(x, [band.n_compressed for band in bands], axis=2)):
            weight, bias = self._weights(f"{name}.{index}")
            stride, kernel = self._spec.band_strides[index], weight.shape[2]
            n_given = (bands[index].n_compressed - 1) * stride + kernel
            before = abs(bands[index].n_rows - n_given) // 2
            after = n_given - before - bands[index].n_rows
            if stride == 1:
                turned = np.ascontiguousarray(weight.transpose(1, 0, 2, 3)[:, :, ::-1])
                pads = [kernel - 1 - before, 0, kernel - 1 - after, 0]
                expanded.append(self._convolution(part, turned, bias, pads))
                continue
            inputs = [part, graph.constant(weight), graph.constant(bias)]
            pads = [before, 0, after, 0]
            expanded.append(
                graph.add("ConvTranspose", inputs, kernel_shape=weight.shape[2:], strides=[stride, 1], pads=pads)
            )
        return graph.add("Concat", expanded, axis=2)


def _counted(n_frames: int, offset: int) -> npt.NDArray[np.float64]:
    """One for each frame whose neighbour ``offset`` frames later is in the segment, zero for the others."""
    places = np.arange(n_frames) + offset
    return ((places >= 0) & (places < n_frames)).astype(np.float64)


def _fourier_tables(n_frames: int) -> tuple[Array, Array]:
    """The transform of an even number of real values, (2 · (n/2 + 1), n), divided by √n, and its inverse.

    Real parts come first, then imaginary ones. The inverse takes no notice of the imaginary parts at either end.
    """
    n_spectral = n_frames // 2 + 1
    # Whole turns are taken off before the angle is rounded.
    turns = np.outer(np.arange(n_spectral), np.arange(n_frames)) % n_frames
    angles = 2 * np.pi * turns / n_frames
    forward = np.concatenate([np.cos(angles), -np.sin(angles)]) / np.sqrt(n_frames)
    shares = np.full(n_spectral, 2.0)
    shares[[0, -1]] = 1
    backward = (forward * np.tile(shares, 2)[:, None]).T
    backward[:, [n_spectral, -1]] = 0
    return forward.astype(np.float32), backward.astype(np.float32)
