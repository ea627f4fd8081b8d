"""The U-Nets as an ONNX graph, rewritten (exactly) for the shapes that CPU kernels are fast at.

Three rewrites, each measured in ``docs/performance.md``:

* A transposed convolution 5×5 of stride 2 puts its outputs in four phases (even or odd row, even or odd column), and
  each phase is an ordinary convolution of the taps that reach it: 2×2, 2×3, 3×2 and 3×3. With Keras' "same" padding
  output ``j`` takes input ``o`` through tap ``k = j + 1 − 2o``; hence even outputs see taps (3, 1) of inputs
  (m − 1, m), odd ones taps (4, 2, 0) of inputs (m − 1, m, m + 1). `DepthToSpace` interleaves the phases. Where there
  are few filters, one 3×3 convolution with zeros in the missing taps beats four small ones.
* The last convolution, 4×4 with dilation 2, only ever combines points of one phase; it runs before the phases of the
  sixth layer are interleaved, as a plain 5×5 convolution at a quarter of the resolution.
* Batch norms are depthwise 1×1 convolutions, which ONNX Runtime keeps in its blocked layout with the activation fused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from unweave.families.unet.weights import N_LAYERS, Convolution, Norm, UNetWeights
from unweave.models.graph_builder import GraphBuilder
from unweave.models.spec import MaskModelSpec

INPUT = "mixture"  # (segments, channels, frames, bins): magnitudes
OUTPUT = "estimates"  # (stems, segments, channels, frames, bins): magnitudes
OPSET = 17
IR_VERSION = 9

# Taps of the 5-tap transposed kernel that reach even and odd outputs, in the order of the inputs they meet.
PHASE_TAPS = ((3, 1), (4, 2, 0))
# Below this many filters four small convolutions cost more than one with zeros.
MIN_FILTERS_FOR_PHASES = 32


def build_graph(unets: Sequence[UNetWeights], spec: MaskModelSpec) -> onnx.ModelProto:
    """The whole model: `INPUT` → `OUTPUT`, with any number of segments, frames and bins (multiples of 64)."""
    graph = GraphBuilder()
    masks = [graph.add("Unsqueeze", [_unet(graph, unet, spec), graph.constant([0])]) for unet in unets]
    stacked = graph.add("Concat", masks, axis=0)
    head = graph.add("Sigmoid", [stacked]) if spec.head == "sigmoid" else graph.add("Softmax", [stacked], axis=0)
    graph.add("Mul", [head, INPUT], output=OUTPUT)

    axes: list[str | int | None] = ["segments", spec.n_channels, "frames", "bins"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            spec.name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, axes)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [len(unets), *axes])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="unweave",
    )
    model.ir_version = IR_VERSION
    return model


def _unet(graph: GraphBuilder, unet: UNetWeights, spec: MaskModelSpec) -> str:
    """One stem's network, up to the logits of its mask (segments, channels, frames, bins)."""
    skips = []
    x = INPUT
    for layer in range(N_LAYERS):
        convolved = _strided(graph, x, unet.encoder[layer])
        skips.append(convolved)  # before the norm; the sixth feeds the decoder as it is
        if layer < N_LAYERS - 1:
            x = _activation(graph, _norm(graph, convolved, unet.encoder_norms[layer]), spec.encoder_activation)
    x = skips.pop()
    for layer in range(N_LAYERS):
        phases = _activation(graph, _transposed_phases(graph, x, unet.decoder[layer]), spec.decoder_activation)
        if layer < N_LAYERS - 1:
            upsampled = _norm(graph, _interleave(graph, phases), unet.decoder_norms[layer])
            x = graph.add("Concat", [skips.pop(), upsampled], axis=1)
    scale, shift = unet.decoder_norms[-1].affine()  # of one feature: the same for all its phases
    x = graph.add("Add", [graph.add("Mul", [phases, graph.constant(scale)]), graph.constant(shift)])
    return _interleave(graph, _dilated_in_phases(graph, x, unet.last))


def _strided(graph: GraphBuilder, x: str, conv: Convolution) -> str:
    return _convolution(graph, x, conv.kernel, conv.bias, pads=[1, 1, 2, 2], strides=[2, 2])


def _transposed_phases(graph: GraphBuilder, x: str, conv: Convolution) -> str:
    """The transposed convolution with its four output phases as channels: (n, 4 · outputs, height, width)."""
    if conv.kernel.shape[2] >= MIN_FILTERS_FOR_PHASES:
        phases = []
        for row, row_taps in enumerate(PHASE_TAPS):
            for column, column_taps in enumerate(PHASE_TAPS):
                kernel = conv.kernel[np.ix_(row_taps, column_taps)]
                phases.append(_convolution(graph, x, kernel, conv.bias, pads=[1, 1, row, column]))
        return graph.add("Concat", phases, axis=1)
    _, _, n_outputs, n_inputs = conv.kernel.shape
    kernel = np.zeros((3, 3, 2, 2, n_outputs, n_inputs), np.float32)
    for row, row_taps in enumerate(PHASE_TAPS):
        for column, column_taps in enumerate(PHASE_TAPS):
            kernel[: len(row_taps), : len(column_taps), row, column] = conv.kernel[np.ix_(row_taps, column_taps)]
    return _convolution(
        graph, x, kernel.reshape(3, 3, 4 * n_outputs, n_inputs), np.tile(conv.bias, 4), pads=[1, 1, 1, 1]
    )


def _dilated_in_phases(graph: GraphBuilder, phases: str, conv: Convolution) -> str:
    """The last convolution on interleaved phases: (n, 4, height, width) → (n, 4 · channels, height, width).

    Output ``2m + p`` takes inputs ``2m + p − 3 + 2k``, k = 0 … 3, all of the phase ``1 − p``, at ``m − 2 + p + k``.
    """
    n_channels = conv.kernel.shape[2]
    kernel = np.zeros((5, 5, 2, 2, n_channels, 2, 2), np.float32)
    for row in range(2):
        for column in range(2):
            taps = conv.kernel[:, :, :, 0]
            kernel[row : row + 4, column : column + 4, row, column, :, 1 - row, 1 - column] = taps
    return _convolution(
        graph, phases, kernel.reshape(5, 5, 4 * n_channels, 4), np.tile(conv.bias, 4), pads=[2, 2, 2, 2]
    )


def _convolution(
    graph: GraphBuilder,
    x: str,
    kernel: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    pads: list[int],
    strides: Sequence[int] = (1, 1),
) -> str:
    """Kernel (height, width, outputs, inputs); pads as top, left, bottom, right."""
    weight = graph.constant(kernel.transpose(2, 3, 0, 1))
    return graph.add(
        "Conv",
        [x, weight, graph.constant(bias)],
        kernel_shape=kernel.shape[:2],
        pads=pads,
        strides=list(strides),
    )


def _norm(graph: GraphBuilder, x: str, norm: Norm) -> str:
    scale, shift = norm.affine()
    inputs = [x, graph.constant(scale[:, None, None, None]), graph.constant(shift)]
    return graph.add("Conv", inputs, group=len(scale), kernel_shape=[1, 1])


def _activation(graph: GraphBuilder, x: str, kind: str) -> str:
    if kind == "leaky_relu":
        return graph.add("LeakyRelu", [x], alpha=0.2)
    return graph.add({"relu": "Relu", "elu": "Elu"}[kind], [x])


def _interleave(graph: GraphBuilder, phases: str) -> str:
    return graph.add("DepthToSpace", [phases], blocksize=2, mode="DCR")
