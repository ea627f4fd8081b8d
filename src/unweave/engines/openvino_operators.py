"""ONNX Runtime's own operators in OpenVINO's terms: those of our graphs that OpenVINO may not know.

Each takes a node of the ONNX graph and returns its outputs. What the operators compute is described in ONNX Runtime's
``docs/ContribOperators.md``; only the forms that our graphs have are converted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import opset13 as ops
from openvino.frontend.onnx import ConversionExtension

CONTRIBUTED = "com.microsoft"
KEPT = 0  # a size that a reshape leaves as it is
REST = -1  # a size that follows from the others


def attention(node: Any) -> Any:
    """MultiHeadAttention of queries, keys and values (batch, positions, heads · width), without masks and biases."""
    n_heads = node.get_attribute("num_heads")

    def by_head(x: Any) -> Any:
        return ops.transpose(_reshaped(x, KEPT, KEPT, n_heads, REST), np.array([0, 2, 1, 3]))

    query, key, value = (by_head(node.get_input(index)) for index in range(3))
    heard = ops.scaled_dot_product_attention(query, key, value)
    return _reshaped(ops.transpose(heard, np.array([0, 2, 1, 3])), KEPT, KEPT, REST).outputs()


def rotary_embedding(node: Any) -> Any:
    """RotaryEmbedding, interleaved, of (batch, positions, heads · width), from position zero on."""
    cosines, sines = (node.get_input(index) for index in (2, 3))
    half = cosines.get_partial_shape()[1].get_length()
    pairs = _reshaped(node.get_input(0), KEPT, KEPT, REST, half, 2)
    real, imaginary = ops.split(pairs, np.int64(4), 2).outputs()
    cosines, sines = (_reshaped(table, REST, 1, half, 1) for table in (cosines, sines))
    turned = ops.concat(
        [
            ops.subtract(ops.multiply(real, cosines), ops.multiply(imaginary, sines)),
            ops.add(ops.multiply(real, sines), ops.multiply(imaginary, cosines)),
        ],
        axis=4,
    )
    return _reshaped(turned, KEPT, KEPT, REST).outputs()


def bias_gelu(node: Any) -> Any:
    """BiasGelu: GELU of x plus a bias."""
    return ops.gelu(ops.add(node.get_input(0), node.get_input(1)), "erf").outputs()


def gelu(node: Any) -> Any:
    """GELU, by the error function."""
    return ops.gelu(node.get_input(0), "erf").outputs()


def root_mean_square_norm(node: Any) -> Any:
    """SimplifiedLayerNormalization over the last axis: x over its root mean square, times a gain."""
    x, gain = node.get_input(0), node.get_input(1)
    power = ops.reduce_mean(ops.multiply(x, x), np.array([-1]), keep_dims=True)
    floor = np.float32(node.get_attribute("epsilon"))
    return ops.multiply(ops.divide(x, ops.sqrt(ops.add(power, floor))), gain).outputs()


def _reshaped(x: Any, *sizes: int) -> Any:
    return ops.reshape(x, np.array(sizes, np.int64), special_zero=True)


def extensions() -> list[Any]:
    """What to add to OpenVINO's reader of ONNX."""
    return [
        ConversionExtension("MultiHeadAttention", CONTRIBUTED, attention),
        ConversionExtension("RotaryEmbedding", CONTRIBUTED, rotary_embedding),
        ConversionExtension("BiasGelu", CONTRIBUTED, bias_gelu),
        ConversionExtension("Gelu", CONTRIBUTED, gelu),
        ConversionExtension("SimplifiedLayerNormalization", "", root_mean_square_norm),
    ]
