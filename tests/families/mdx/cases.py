"""TFC-TDF networks with random weights, as the reference and as ONNX files with the interface of UVR's."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.families.segments import mixture

EVERY = 23  # of the numbers that the reference gives, every so many is stored
EPSILON = 1e-5


@dataclass(frozen=True)
class Size:
    """Of a TFC-TDF network (kuielab's ConvTDFNet), with the norms behind convolutions folded into them."""

    n_bins: int
    growth: int = 3  # channels, and how many more there are on every level
    n_levels: int = 1
    n_convs: int = 1  # of a block
    narrowing: int = 8  # of the dense layers

    def blocks(self):
        """(name, channels, bins) of every block, in order."""
        levels = range(self.n_levels)
        down = [(f"encoder.{k}", (k + 1) * self.growth, self.n_bins >> k) for k in levels]
        bottom = [("bottleneck", (self.n_levels + 1) * self.growth, self.n_bins >> self.n_levels)]
        return down + bottom + [(name.replace("encoder", "decoder"), *sizes) for name, *sizes in reversed(down)]

    def shapes(self):
        """The shape of every array by its name, as PyTorch has them."""
        g = self.growth
        kernels = {"first_conv": (g, 4, 1, 1)}
        dense = {}
        for name, c, bins in self.blocks():
            kernels |= {f"{name}.tfc.{k}": (c, c, 3, 3) for k in range(self.n_convs)}
            dense |= {f"{name}.tdf.0": (bins // self.narrowing, bins), f"{name}.tdf.1": (bins, bins // self.narrowing)}
            if name.startswith("encoder"):
                kernels |= {f"{name}.ds": (c + g, c, 2, 2), f"{name}.us": (c + g, c, 2, 2)}
        kernels["final_conv"] = (4, g, 1, 1)
        shapes = {f"{name}.weight": shape for name, shape in (kernels | dense).items()}
        shapes |= {f"{name}.bias": (shape[name.endswith(".us")],) for name, shape in kernels.items()}
        for name, c, _ in self.blocks():
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes |= {f"{name}.tdf.{k}.norm.{part}": (c,) for k in range(2)}
        return shapes

    def weights(self, seed=0):
        """Every array random, statistics of norms too."""
        chance = np.random.RandomState(seed)
        weights = {}
        for name, shape in self.shapes().items():
            values = chance.standard_normal(shape)
            if name.endswith(("running_var", "norm.weight")):
                values = 0.6 + chance.random_sample(shape)
            elif name.endswith(".weight"):
                values *= 1.3 / np.sqrt(np.prod(shape[1:]))
            else:
                values *= 0.2
            weights[name] = values.astype(np.float32)
        return weights


# Name: (size, n_fft, frames, compensation, denoise)
CASES = {
    "plain": (Size(512), 2048, 8, 1.035, False),
    "all_bins": (Size(1536, n_levels=2, n_convs=2, narrowing=4), 3072, 16, 1.0, False),
    "denoise": (Size(768), 2048, 8, 1.02, True),
}


def model(size, n_frames, segments="batch_size", **given):
    """The network as an ONNX model, (segments, 4, bins, frames) → the same; as in UVR's the first axis is open."""
    # PyTorch's exporter writes linear layers without a bias as a product with the transposed weights.
    arrays = {name: array.T if array.ndim == 2 else array for name, array in size.weights().items()}
    constants = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
    nodes = []

    def add(kind, *inputs, output=None, **attributes):
        output = output or f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def conv(x, name, kind="Conv", **attributes):
        return add("Relu", add(kind, x, f"{name}.weight", f"{name}.bias", **attributes))

    def block(x, name):
        for k in range(size.n_convs):
            x = conv(x, f"{name}.tfc.{k}", pads=[1, 1, 1, 1])
        dense = x
        for k in range(2):
            parts = [f"{name}.tdf.{k}.norm.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
            dense = add("MatMul", dense, f"{name}.tdf.{k}.weight")
            dense = add("Relu", add("BatchNormalization", dense, *parts, epsilon=EPSILON))
        return add("Add", x, dense)

    x = add("Transpose", conv("input", "first_conv"), perm=[0, 1, 3, 2])
    skips = []
    for k in range(size.n_levels):
        skips.append(block(x, f"encoder.{k}"))
        x = conv(skips[-1], f"encoder.{k}.ds", strides=[2, 2])
    x = block(x, "bottleneck")
    for k in reversed(range(size.n_levels)):
        x = add("Mul", conv(x, f"encoder.{k}.us", "ConvTranspose", strides=[2, 2]), skips[k])
        x = block(x, f"decoder.{k}")
    x = add("Transpose", x, perm=[0, 1, 3, 2])
    add("Conv", x, "final_conv.weight", "final_conv.bias", output="output")
    shape = given.get("shape", [segments, 4, size.n_bins, n_frames])
    graph = helper.make_graph(
        nodes,
        "main_graph",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, given.get("output_shape", shape))],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="pytorch")
    made.ir_version = 7
    onnx.checker.check_model(made)
    return made


def mixtures(segment, hop):
    """By name: lengths below a segment, whole segments and tails of all kinds, mono, and silence."""
    broken = mixture(4 * segment)
    broken[:, segment : 3 * segment] = 0
    return {
        "short": mixture(1500),
        "one": mixture(segment - 1),
        "exact": mixture(3 * hop),
        "short_tail": mixture(2 * segment + 300),
        "long_tail": mixture(2 * segment + segment * 3 // 4),
        "mono": np.repeat(mixture(segment + 100)[:1], 2, axis=0),
        "silence_inside": broken,
        "silence": np.zeros((2, segment + 99), np.float32),
    }
