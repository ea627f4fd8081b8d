"""An MDX23C as an ONNX graph of fixed shapes, which follows the training code node by node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.families.mdx23c.spec import Mdx23cSpec
from unweave.families.roformer.writer import GraphWriter

# (1, 4 · subbands, frames, bins per subband): for each of the four parts, its subbands
INPUT = "spectrum"
OUTPUT = "spectra"  # (1, stems · 4 · subbands, frames, bins per subband)
NETWORK, WEIGHTS = "network.onnx", "network.bin"
EPSILON = 1e-5  # of every norm


def write_network(spec: Mdx23cSpec, tensors: Mapping[str, npt.NDArray[np.generic]], folder: Path) -> None:
    """Write `INPUT` → `OUTPUT` as ``network.onnx`` and ``network.bin`` in ``folder``.

    ``tensors`` are named as in ``spec.shapes``. One array at a time is in memory.
    """
    with (folder / WEIGHTS).open("wb") as data:
        graph = GraphWriter(data, WEIGHTS)
        _Builder(spec, tensors, graph).build()
        image = (spec.n_frames, spec.n_bins // spec.n_subbands)
        outputs = {OUTPUT: (1, len(spec.stems) * spec.n_inputs, *image)}
        graph.save(folder / NETWORK, "mdx23c", {INPUT: (1, spec.n_inputs, *image)}, outputs)


class _Builder:
    def __init__(self, spec: Mdx23cSpec, tensors: Mapping[str, npt.NDArray[np.generic]], graph: GraphWriter) -> None:
        self._spec = spec
        self._tensors = tensors
        self._graph = graph

    def build(self) -> None:
        """All nodes, from `INPUT` to `OUTPUT`."""
        spec, graph = self._spec, self._graph
        first = x = self._convolution(INPUT, "first_conv")
        image = (spec.n_frames, spec.n_bins // spec.n_subbands)
        skips = []
        for level in range(spec.n_scales):
            x = self._blocks(x, f"encoder_blocks.{level}.tfc_tdf", image)
            skips.append((x, image))
            name = f"encoder_blocks.{level}.downscale.conv"
            x = self._convolution(self._normed(x, f"{name}.0", image), f"{name}.2", strides=list(spec.scale))
            image = (image[0] // spec.scale[0], image[1] // spec.scale[1])
        x = self._blocks(x, "bottleneck_block", image)
        for level in range(spec.n_scales):
            name = f"decoder_blocks.{level}.upscale.conv"
            inputs = [self._normed(x, f"{name}.0", image), graph.constant(self._array(f"{name}.2.weight"))]
            scale = list(spec.scale)
            x = graph.add("ConvTranspose", inputs, kernel_shape=scale, strides=scale)
            skip, image = skips.pop()
            x = self._blocks(graph.add("Concat", [x, skip], axis=1), f"decoder_blocks.{level}.tfc_tdf", image)
        x = graph.add("Concat", [INPUT, graph.add("Mul", [x, first])], axis=1)
        x = self._active(self._convolution(x, "final_conv.0"))
        graph.add("Identity", [self._convolution(x, "final_conv.2")], OUTPUT)

    def _array(self, name: str) -> npt.NDArray[np.float32]:
        return np.asarray(self._tensors[name], np.float32)

    def _convolution(self, x: str, name: str, strides: list[int] | None = None) -> str:
        weight = self._array(f"{name}.weight")
        reach = 0 if strides else weight.shape[2] // 2
        inputs = [x, self._graph.constant(weight)]
        return self._graph.add(
            "Conv", inputs, kernel_shape=weight.shape[2:], strides=strides or [1, 1], pads=[reach] * 4
        )

    def _blocks(self, x: str, name: str, image: tuple[int, int]) -> str:
        """Convolutions, with a detour through linear maps along the bins."""
        graph = self._graph
        for block in range(self._spec.n_blocks):
            prefix = f"{name}.blocks.{block}"
            shortcut = self._convolution(x, f"{prefix}.shortcut")
            x = self._convolution(self._normed(x, f"{prefix}.tfc1.0", image), f"{prefix}.tfc1.2")
            narrow = (image[0], image[1] // self._spec.bottleneck_factor)
            linear = self._linear(self._normed(x, f"{prefix}.tdf.0", image), f"{prefix}.tdf.2")
            linear = self._linear(self._normed(linear, f"{prefix}.tdf.3", narrow), f"{prefix}.tdf.5")
            x = self._normed(graph.add("Add", [x, linear]), f"{prefix}.tfc2.0", image)
            x = graph.add("Add", [self._convolution(x, f"{prefix}.tfc2.2"), shortcut])
        return x

    def _linear(self, x: str, name: str) -> str:
        return self._graph.add("MatMul", [x, self._graph.constant(self._array(f"{name}.weight").T)])

    def _normed(self, x: str, name: str, image: tuple[int, int]) -> str:
        """The norm and the activation behind it."""
        graph, kind = self._graph, self._spec.norm
        if not kind:
            return self._active(x)
        gain, shift = self._array(f"{name}.weight"), self._array(f"{name}.bias")
        if kind == "InstanceNorm":
            inputs = [x, graph.constant(gain), graph.constant(shift)]
            return self._active(graph.add("InstanceNormalization", inputs, epsilon=EPSILON))
        if kind == "BatchNorm":
            mean, variance = self._array(f"{name}.running_mean"), self._array(f"{name}.running_var")
            gain = gain / np.sqrt(variance + np.float32(EPSILON))
            shift = shift - mean * gain
        else:
            n_groups = int(kind.removeprefix("GroupNorm"))
            ones, zeros = (graph.constant(make(n_groups, np.float32)) for make in (np.ones, np.zeros))
            apart = graph.add("Reshape", [x, graph.shape(1, n_groups, -1)])
            apart = graph.add("InstanceNormalization", [apart, ones, zeros], epsilon=EPSILON)
            x = graph.add("Reshape", [apart, graph.shape(1, len(gain), *image)])
        x = graph.add("Mul", [x, graph.constant(gain[:, None, None])])
        return self._active(graph.add("Add", [x, graph.constant(shift[:, None, None])]))

    def _active(self, x: str) -> str:
        kind = self._spec.activation
        if kind == "gelu":
            return self._graph.add_own("Gelu", [x])
        if kind == "relu":
            return self._graph.add("Relu", [x])
        return self._graph.add("Elu", [x], alpha=float(kind.removeprefix("elu")))
