"""The U-Nets as an ONNX graph, rewritten (exactly) for the shapes that CPU kernels are fast at.

Three rewrites, each measured in ``docs/performance.md``:

* A transposed convolution 5×5 of stride 2 puts its outputs in four phases (even or odd row, even or odd column), and
  each phase is an ordinary convolution of the taps that reach it: 2×2, 2×3, 3×2 and 3×3. With Keras' "same" padding
  output ``j`` takes input ``o`` through tap ``k = j + 1 − 2o``; hence even outputs see taps (3, 1) of inputs
  (m − 1, m), odd ones taps (4, 2, 0) of inputs (m − 1, m, m + 1). `DepthToSpace` interleaves the phases. Where there
  are few filters, two convolutions with zeros in the missing taps beat four small ones.
* Kernels compute 16 outputs at a time. The sixth decoder has one: 4 × 4 of its outputs are computed as channels, by a
  convolution of stride 2; and the last convolution, 4×4 with dilation 2, is a plain 3×3 one on these blocks.
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
MIN_FILTERS = 32  # convolutions with fewer are slower than their arithmetic
BLOCK = 4  # the sixth decoder's one output and the last convolution's are computed in blocks of 4 × 4, as channels


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
    for layer in range(N_LAYERS - 1):
        phases = _transposed(graph, x, unet.decoder[layer], spec.decoder_activation)
        upsampled = _norm(
            graph, graph.add("DepthToSpace", [phases], blocksize=2, mode="DCR"), unet.decoder_norms[layer]
        )
        x = graph.add("Concat", [skips.pop(), upsampled], axis=1)
    phases = _activation(graph, _transposed_in_blocks(graph, x, unet.decoder[-1]), spec.decoder_activation)
    scale, shift = unet.decoder_norms[-1].affine()  # of one feature: the same for all its phases
    normed = _scaled(graph, phases, np.repeat(scale, BLOCK * BLOCK), np.repeat(shift, BLOCK * BLOCK))
    logits = _dilated_in_blocks(graph, normed, unet.last)
    return graph.add("DepthToSpace", [logits], blocksize=BLOCK, mode="CRD")


def _strided(graph: GraphBuilder, x: str, conv: Convolution) -> str:
    return _convolution(graph, x, conv.kernel, conv.bias, pads=[1, 1, 2, 2], strides=[2, 2])


def _transposed(graph: GraphBuilder, x: str, conv: Convolution, activation: str) -> str:
    """The transposed convolution, activated, with its four output phases as channels: (n, 4 · outputs, height, width).

    As one convolution for each phase, or, where their outputs are too few to fill the kernels' blocks, one for each
    phase of the rows, with zeros for the taps that do not reach even columns.
    """
    n_outputs = conv.kernel.shape[2]
    together = len(PHASE_TAPS) if n_outputs < MIN_FILTERS else 1  # phases of the columns
    convolved = []
    for row, row_taps in enumerate(PHASE_TAPS):
        for first in range(0, len(PHASE_TAPS), together):
            columns = PHASE_TAPS[first : first + together]
            kernel = np.zeros((len(row_taps), len(columns[-1]), together, *conv.kernel.shape[2:]), np.float32)
            for column, column_taps in enumerate(columns):
                kernel[:, : len(column_taps), column] = conv.kernel[np.ix_(row_taps, column_taps)]
            kernel = kernel.reshape(*kernel.shape[:2], together * n_outputs, -1)
            pads = [1, 1, row, len(columns[-1]) - 2]
            phase = _convolution(graph, x, kernel, np.tile(conv.bias, together), pads)
            convolved.append(_activation(graph, phase, activation))
    return graph.add("Concat", convolved, axis=1)


def _transposed_in_blocks(graph: GraphBuilder, x: str, conv: Convolution) -> str:
    """The transposed convolution with one output, as a strided one: (n, `BLOCK`², height / 2, width / 2).

    Two inputs and their neighbours, ``o`` = −1 … 2, give a block of four outputs ``j`` through taps ``j + 1 − 2o``.
    """
    n_inputs = conv.kernel.shape[3]
    kernel = np.zeros((4, 4, BLOCK, BLOCK, n_inputs), np.float32)
    for row_input, row, column_input, column in np.ndindex(4, BLOCK, 4, BLOCK):
        row_tap, column_tap = row + 3 - 2 * row_input, column + 3 - 2 * column_input
        if 0 <= row_tap < 5 and 0 <= column_tap < 5:
            kernel[row_input, column_input, row, column] = conv.kernel[row_tap, column_tap, 0]
    blocks = kernel.reshape(4, 4, BLOCK * BLOCK, n_inputs)
    return _convolution(graph, x, blocks, np.repeat(conv.bias, BLOCK * BLOCK), [1, 1, 1, 1], strides=[2, 2])


def _dilated_in_blocks(graph: GraphBuilder, blocks: str, conv: Convolution) -> str:
    """The last convolution on blocks of outputs: (n, `BLOCK`², height, width) → (n, channels · `BLOCK`², …).

    Output ``j`` of a block takes inputs ``j − 3 + 2k``, k = 0 … 3, of the same block and its neighbours.
    """
    n_channels = conv.kernel.shape[2]
    kernel = np.zeros((3, 3, n_channels, BLOCK, BLOCK, BLOCK, BLOCK), np.float32)
    for row, row_tap, column, column_tap in np.ndindex(BLOCK, 4, BLOCK, 4):
        row_block, row_input = divmod(row - 3 + 2 * row_tap + BLOCK, BLOCK)
        column_block, column_input = divmod(column - 3 + 2 * column_tap + BLOCK, BLOCK)
        taps = conv.kernel[row_tap, column_tap, :, 0]
        kernel[row_block, column_block, :, row, column, row_input, column_input] = taps
    plain = kernel.reshape(3, 3, n_channels * BLOCK * BLOCK, BLOCK * BLOCK)
    return _convolution(graph, blocks, plain, np.repeat(conv.bias, BLOCK * BLOCK), pads=[1, 1, 1, 1])


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
    return _scaled(graph, x, *norm.affine())


def _scaled(graph: GraphBuilder, x: str, scale: npt.NDArray[np.float32], shift: npt.NDArray[np.float32]) -> str:
    inputs = [x, graph.constant(scale[:, None, None, None]), graph.constant(shift)]
    return graph.add("Conv", inputs, group=len(scale), kernel_shape=[1, 1])


def _activation(graph: GraphBuilder, x: str, kind: str) -> str:
    if kind == "leaky_relu":
        return graph.add("LeakyRelu", [x], alpha=0.2)
    return graph.add({"relu": "Relu", "elu": "Elu"}[kind], [x])
