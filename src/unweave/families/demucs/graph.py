"""What the graphs of hybrid networks are made of, rewritten (exactly) for what CPU kernels are fast at.

* The branch over the samples is laid out as an image of one row, so that its convolutions run in the same blocked
  kernels as those over the spectrum.
* A gate, GLU, is two convolutions, one of which ends in a sigmoid, and a product: the halves are never cut apart.
* A residual branch normalises what a 1×1 convolution gives, over channels and time, on each row of frequencies. Mean
  and variance of ``W u + b`` follow from the mean and the covariance of ``u``, which has a sixteenth of the channels;
  the norm then is a part of that convolution: its input is scaled by the row's 1/σ, and two more input channels, 1/σ
  and μ/σ, carry ``b`` and ``−μ``. Layer scales and the norm's gain are in its weights.
* A transposed convolution of kernel 2·stride is two convolutions of two taps, for the earlier and the later half of the
  output's phases, which are then interleaved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from unweave.families.demucs.spec import HybridSpec
from unweave.models.graph_builder import GraphBuilder

Array = npt.NDArray[np.float32]

MIXTURE = "mixture"  # (1, channels, samples)
SPECTRUM = "spectrum"  # (1, 2 · channels, bins, frames)
SPECTRA = "spectra"  # (1, stems, 2 · channels, bins, frames)
WAVEFORMS = "waveforms"  # (1, stems, channels, samples)
OPSET = 17
FUSED = "com.microsoft"  # where ONNX Runtime's own operators live
IR_VERSION = 9
LONG_AXIS = 1 << 14  # from so many numbers on, a mean is taken in two steps
FEWEST_STRETCHES = 16
EPSILON = 1e-5  # of every norm, and of the level that the input is brought to


def port_shapes(spec: HybridSpec, n_stems: int) -> dict[str, list[int]]:
    """The shapes of inputs and outputs."""
    samples = [spec.audio_channels, spec.segment_samples]
    bins = [2 * spec.audio_channels, spec.n_bins, spec.n_frames]
    return {
        MIXTURE: [1, *samples],
        SPECTRUM: [1, *bins],
        SPECTRA: [1, n_stems, *bins],
        WAVEFORMS: [1, n_stems, *samples],
    }


def stretches(length: int) -> int:
    """Into how many equal stretches an axis is cut for its mean: 1 where it is short, or cannot be cut well."""
    if length < LONG_AXIS:
        return 1
    most = math.isqrt(length)
    number = next(n for n in range(most, 0, -1) if length % n == 0)
    return number if number >= FEWEST_STRETCHES else 1


class HybridGraph(GraphBuilder):
    """A graph in the making, over images (1, channels, rows, columns); ``arrays`` are the checkpoint's."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        super().__init__()
        self.arrays = arrays
        self._shapes: dict[tuple[int, ...], str] = {}

    def model(self, name: str, shapes: Mapping[str, Sequence[int]], *, fused: bool) -> onnx.ModelProto:
        """`MIXTURE`, `SPECTRUM` → `SPECTRA`, `WAVEFORMS`, of these shapes."""
        mixture, spectrum, spectra, waveforms = (
            helper.make_tensor_value_info(key, TensorProto.FLOAT, shapes[key])
            for key in (MIXTURE, SPECTRUM, SPECTRA, WAVEFORMS)
        )
        model = helper.make_model(
            helper.make_graph(self.nodes, name, [mixture, spectrum], [spectra, waveforms], self.constants),
            opset_imports=[helper.make_opsetid("", OPSET), *([helper.make_opsetid(FUSED, 1)] if fused else [])],
            producer_name="unweave",
        )
        model.ir_version = IR_VERSION
        return model

    def number(self, value: float) -> str:
        """A constant."""
        return self.constant(np.float32(value))

    def weight(self, name: str) -> Array:
        """An array of the checkpoint."""
        return np.asarray(self.arrays[name], np.float32)

    def weights(self, name: str) -> tuple[Array, Array]:
        """Weight and bias of a convolution, as one over images."""
        weight = self.weight(f"{name}.weight")
        return (weight[:, :, None] if weight.ndim == 3 else weight), self.weight(f"{name}.bias")

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """``x`` in another shape."""
        key = tuple(shape)
        if key not in self._shapes:
            self._shapes[key] = self.constant(np.array(shape, np.int64))
        return self.add("Reshape", [x, self._shapes[key]])

    def convolution(self, x: str, weight: Array, bias: Array, **attributes: Any) -> str:
        """A convolution over an image."""
        inputs = [x, self.constant(weight), self.constant(bias)]
        return self.add("Conv", inputs, kernel_shape=weight.shape[2:], **attributes)

    def gelu(self, x: str) -> str:
        """x · ½ (1 + erf(x / √2)), in the form that ONNX Runtime fuses."""
        erf = self.add("Erf", [self.add("Div", [x, self.number(2**0.5)])])
        return self.add("Mul", [self.add("Mul", [x, self.add("Add", [erf, self.number(1)])]), self.number(0.5)])

    def mean(self, x: str, axes: Sequence[int], shape: Sequence[int]) -> str:
        """The mean of ``x``, of ``shape``, over ``axes``, kept as axes of length one; axis by axis, the first first.

        One sum over half a million numbers of single precision is wrong by 1e-5. Long axes are therefore cut into
        stretches, whose means are averaged: 1e-7.
        """
        left = list(shape)
        for axis in axes:
            n_stretches = stretches(left[axis])
            if n_stretches > 1:
                apart = [*left[:axis], n_stretches, left[axis] // n_stretches, *left[axis + 1 :]]
                x = self.add("ReduceMean", [self.reshape(x, apart)], axes=[axis + 1], keepdims=0)
            x = self.add("ReduceMean", [x], axes=[axis], keepdims=1)
            left[axis] = 1
        return x

    def centred(self, x: str, axes: Sequence[int], shape: Sequence[int]) -> tuple[str, str, str]:
        """``x`` less its mean over ``axes``, that mean, and the mean of the squares of the difference."""
        mean = self.mean(x, axes, shape)
        centred = self.add("Sub", [x, mean])
        return centred, mean, self.mean(self.add("Mul", [centred, centred]), axes, shape)

    def group_norm(self, x: str, axes: Sequence[int], shape: Sequence[int], gain: Array, shift: Array) -> str:
        """``x``, of ``shape``, at mean 0 and variance 1 over ``axes``, then times ``gain`` and plus ``shift``."""
        centred, _, variance = self.centred(x, axes, shape)
        deviation = self.add("Sqrt", [self.add("Add", [variance, self.number(EPSILON)])])
        scaled = self.add("Mul", [centred, self.add("Div", [self.constant(gain), deviation])])
        return self.add("Add", [scaled, self.constant(shift)])

    def matmul(self, x: str, weight: Array, bias: Array) -> str:
        """Tokens (1, tokens, inputs) times a weight (outputs, inputs)."""
        return self.add("Add", [self.add("MatMul", [x, self.constant(weight.T)]), self.constant(bias)])

    def normalised(self, x: str, shape: Sequence[int]) -> tuple[str, str, str]:
        """An input at a mean of zero and a level of one; and, for the way back, its own level and mean."""
        axes = range(len(shape) - 1, 0, -1)
        centred, mean, power = self.centred(x, axes, shape)
        n_values = math.prod(shape)
        level = self.add("Sqrt", [self.add("Mul", [power, self.number(n_values / (n_values - 1))])])
        return self.add("Div", [centred, self.add("Add", [level, self.number(EPSILON)])]), level, mean

    def restored(self, x: str, shape: Sequence[int], level: str, mean: str, output: str) -> None:
        """An output of the graph in its shape, at the level and mean of the input."""
        self.add("Add", [self.add("Mul", [self.reshape(x, shape), level]), mean], output=output)

    def gated(self, x: str, weight: Array, bias: Array, pads: list[int]) -> str:
        """The first half of a convolution's channels times the sigmoid of the second."""
        half = len(bias) // 2
        value = self.convolution(x, weight[:half], bias[:half], pads=pads)
        gate = self.add("Sigmoid", [self.convolution(x, weight[half:], bias[half:], pads=pads)])
        return self.add("Mul", [value, gate])

    def squeezed(self, x: str, name: str, dilation: int, n_rows: int, n_columns: int) -> str:
        """The first half of a layer of a residual branch: (1, channels, rows, columns) → (rows, hidden, columns)."""
        weight = self.weight(f"{name}.0.weight")[:, :, None]
        x = self.convolution(
            x, weight, self.weight(f"{name}.0.bias"), dilations=[1, dilation], pads=[0, dilation, 0, dilation]
        )
        x = self.add("Transpose", [x], perm=[0, 2, 1, 3])  # (1, rows, channels, columns)
        shape = [n_rows, len(weight), n_columns]
        gain, shift = (self.weight(f"{name}.1.{part}")[:, None] for part in ("weight", "bias"))
        return self.gelu(self.group_norm(self.reshape(x, shape), [2, 1], shape, gain, shift))

    def widened(self, x: str, name: str, index: int, n_rows: int, n_columns: int) -> str:
        """The second half, back to an image: a convolution, the ``index``-th part of ``name``, its norm and gate."""
        weight, bias = self.weight(f"{name}.{index}.weight")[:, :, 0], self.weight(f"{name}.{index}.bias")
        hidden = weight.shape[1]
        mean, scale = self._statistics(x, weight, bias, n_rows, n_columns)
        n_extra = 2 + -(hidden + 2) % 4  # blocked kernels take inputs by fours
        zeros = [self.constant(np.zeros((n_rows, n_extra - 2, 1), np.float32))] if n_extra > 2 else []
        extra = self.add("Concat", [scale, self.add("Mul", [mean, scale]), *zeros], axis=1)
        extra = self.add("Mul", [extra, self.constant(np.ones((1, 1, n_columns), np.float32))])
        x = self.add("Concat", [self.add("Mul", [x, scale]), extra], axis=1)
        x = self.reshape(x, [1, n_rows, hidden + n_extra, n_columns])
        x = self.add("Transpose", [x], perm=[0, 2, 1, 3])

        gain, shift = self.weight(f"{name}.{index + 1}.weight"), self.weight(f"{name}.{index + 1}.bias")
        folded = np.zeros((len(bias), hidden + n_extra, 1, 1), np.float32)
        folded[:, :hidden, 0, 0] = gain[:, None] * weight
        folded[:, hidden, 0, 0] = gain * bias
        folded[:, hidden + 1, 0, 0] = -gain
        layer_scale = self.weight(f"{name}.{index + 3}.scale")
        folded[: len(layer_scale)] *= layer_scale[:, None, None, None]
        shift = shift.copy()
        shift[: len(layer_scale)] *= layer_scale
        return self.gated(x, folded, shift, [0, 0, 0, 0])

    def transposed(self, x: str, kernel: Array, bias: Array, stride: int, axis: int) -> str:
        """The transposed convolution along rows (2) or columns (3), cut by stride/2 at both ends, in phases.

        ``kernel`` is (inputs, outputs, 2 · stride); the phases come one after the other: (1, stride · outputs, …).
        Output ``stride · m + p`` takes input ``m + (p + stride/2 − k) / stride`` through tap k wherever that is whole:
        inputs m − 1 and m in the earlier phases, m and m + 1 in the later ones.
        """
        pad = stride // 2
        halves = []
        for first, phases in ((-1, range(stride - pad)), (0, range(stride - pad, stride))):
            weight = np.zeros((len(phases), kernel.shape[1], kernel.shape[0], 2), np.float32)
            for row, phase in enumerate(phases):
                for tap in range(2):
                    weight[row, :, :, tap] = kernel[:, :, phase + pad - stride * (first + tap)].T
            taps = weight.reshape(-1, kernel.shape[0], 2)
            before, after = (1, 0) if first else (0, 1)
            halves.append(
                self.convolution(
                    x,
                    taps[:, :, None] if axis == 3 else taps[..., None],
                    np.tile(bias, len(phases)),
                    pads=[0, before, 0, after] if axis == 3 else [before, 0, after, 0],
                )
            )
        return self.add("Concat", halves, axis=1)

    def interleaved(self, x: str, n_outputs: int, stride: int, shape: tuple[int, int], axis: int, length: int) -> str:
        """The phases of `transposed` in turn along ``axis``, cut to ``length``; images of ``shape`` before."""
        n_rows, n_columns = shape
        if axis == 2:
            x = self.reshape(x, [stride, n_outputs, n_rows, n_columns])
            x = self.add("Transpose", [x], perm=[1, 2, 0, 3])
            return self.reshape(x, [1, n_outputs, stride * n_rows, n_columns])
        x = self.add("Transpose", [self.reshape(x, [stride, n_outputs * n_columns])], perm=[1, 0])
        x = self.reshape(x, [1, n_outputs, 1, stride * n_columns])
        return x if length == stride * n_columns else self.sliced(x, 0, length, axis=3)

    def sliced(self, x: str, start: int, stop: int, axis: int) -> str:
        """A part of ``x`` along one axis."""
        return self.add("Slice", [x, *(self.constant(np.array([n], np.int64)) for n in (start, stop, axis))])

    def _statistics(self, u: str, weight: Array, bias: Array, n_rows: int, n_columns: int) -> tuple[str, str]:
        """Mean and 1/σ of ``weight · u + bias`` over outputs and columns, (rows, 1, 1), for u (rows, inputs, columns).

        With ū the mean of u over the columns and m = W ū + b, the variance is that of m over the outputs plus the
        mean over outputs and columns of (W (u − ū))², which is the covariance of u times WᵀW, summed.
        """
        n_outputs, n_inputs = weight.shape
        mean_u = self.mean(u, [2], [n_rows, n_inputs, n_columns])
        centred = self.add("Sub", [u, mean_u])
        covariance = self.add("MatMul", [centred, self.add("Transpose", [centred], perm=[0, 2, 1])])
        squares = (weight.T.astype(np.float64) @ weight).reshape(-1, 1) / (n_outputs * n_columns)
        within = self.add(
            "MatMul",
            [self.reshape(covariance, [n_rows, n_inputs**2]), self.constant(squares.astype(np.float32))],
        )
        means = self.matmul(self.reshape(mean_u, [n_rows, n_inputs]), weight, bias)
        mean = self.add("ReduceMean", [means], axes=[1], keepdims=1)
        apart = self.add("Sub", [means, mean])
        between = self.add("ReduceMean", [self.add("Mul", [apart, apart])], axes=[1], keepdims=1)
        variance = self.add("Add", [self.add("Add", [within, between]), self.number(EPSILON)])
        scale = self.add("Reciprocal", [self.add("Sqrt", [variance])])
        return self.reshape(mean, [n_rows, 1, 1]), self.reshape(scale, [n_rows, 1, 1])
