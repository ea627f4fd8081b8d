"""The arrays of the original's U-Nets, taken from a checkpoint by the names TensorFlow gave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.errors import CheckpointError
from unweave.models.spec import MaskModelSpec

Array = npt.NDArray[np.float32]

N_LAYERS = 6
NORM_EPSILON = 1e-3


@dataclass(frozen=True)
class Convolution:
    """A convolution, strided or transposed: kernel (height, width, outputs, inputs) and bias (outputs)."""

    kernel: Array
    bias: Array


@dataclass(frozen=True)
class Norm:
    """Batch normalisation with the statistics of training: (features,) each."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array

    def affine(self) -> tuple[Array, Array]:
        """The norm as ``scale · x + shift``."""
        scale = self.gamma / np.sqrt(self.variance + NORM_EPSILON)
        return scale, self.beta - self.mean * scale


@dataclass(frozen=True)
class UNetWeights:
    """One stem's U-Net: six strided convolutions, six transposed ones, and the dilated last.

    ``encoder_norms[5]`` is trained but unused: the sixth convolution feeds the decoder as it is.
    """

    encoder: tuple[Convolution, ...]
    encoder_norms: tuple[Norm, ...]
    decoder: tuple[Convolution, ...]
    decoder_norms: tuple[Norm, ...]
    last: Convolution


GROUPS: dict[str, type[Convolution] | type[Norm]] = {
    "encoder": Convolution,
    "encoder_norms": Norm,
    "decoder": Convolution,
    "decoder_norms": Norm,
    "last": Convolution,
}


def read_unets(checkpoint: Mapping[str, npt.NDArray[np.generic]], spec: MaskModelSpec) -> tuple[UNetWeights, ...]:
    """One U-Net per stem, in the order of ``spec.stems``.

    Raises `CheckpointError` where a variable is missing or of another shape than ``spec`` says.
    """
    reader = _Reader(checkpoint)
    unets = tuple(reader.unet(stem, spec) for stem in range(len(spec.stems)))
    surplus = _indexed("conv2d", 7 * len(spec.stems)) + "/kernel"
    if surplus in checkpoint:
        raise CheckpointError(f"the checkpoint contains more stems than the {len(spec.stems)} of {spec.name}")
    return unets


def unets_to_arrays(unets: Sequence[UNetWeights], stems: Sequence[str]) -> dict[str, Array]:
    """All arrays by name: ``vocals.encoder.0.kernel``, ``vocals.encoder_norms.0.gamma``, ``vocals.last.bias``, …"""
    arrays: dict[str, Array] = {}
    for stem, unet in zip(stems, unets, strict=True):
        for group, kind in GROUPS.items():
            parts = [unet.last] if group == "last" else getattr(unet, group)
            for index, part in enumerate(parts):
                for field in fields(kind):
                    arrays[_array_name(stem, group, index, field.name)] = getattr(part, field.name)
    return arrays


def unets_from_arrays(arrays: Mapping[str, Array], stems: Sequence[str]) -> tuple[UNetWeights, ...]:
    """The inverse of `unets_to_arrays`; raises KeyError for a missing array."""
    unets = []
    for stem in stems:
        groups: dict[str, tuple[Any, ...]] = {
            group: tuple(
                kind(*(arrays[_array_name(stem, group, index, field.name)] for field in fields(kind)))
                for index in range(1 if group == "last" else N_LAYERS)
            )
            for group, kind in GROUPS.items()
        }
        (last,) = groups.pop("last")
        unets.append(UNetWeights(**groups, last=last))
    return tuple(unets)


def check_shapes(unets: Sequence[UNetWeights], spec: MaskModelSpec) -> None:
    """Raise `CheckpointError` unless all arrays have the shapes that ``spec`` says, and hold finite numbers."""
    widths = (spec.n_channels, *spec.n_filters)
    ups = (*reversed(spec.n_filters[:-1]), 1)
    expected: dict[str, tuple[int, ...]] = {}
    for layer in range(N_LAYERS):
        expected[f"encoder.{layer}.kernel"] = (5, 5, widths[layer + 1], widths[layer])
        n_inputs = spec.n_filters[-1] if layer == 0 else 2 * ups[layer - 1]
        expected[f"decoder.{layer}.kernel"] = (5, 5, ups[layer], n_inputs)
        for group, width in (("encoder", widths[layer + 1]), ("decoder", ups[layer])):
            expected[f"{group}.{layer}.bias"] = (width,)
            for field in fields(Norm):
                expected[f"{group}_norms.{layer}.{field.name}"] = (width,)
    expected |= {"last.kernel": (4, 4, spec.n_channels, 1), "last.bias": (spec.n_channels,)}
    for stem, unet in zip(spec.stems, unets, strict=True):
        for name, array in unets_to_arrays([unet], [stem]).items():
            shape = expected[name.removeprefix(f"{stem}.")]
            if array.shape != shape:
                raise CheckpointError(f"{name} has the shape {array.shape}, the model needs {shape}")
            if not np.isfinite(array).all():
                raise CheckpointError(f"{name} contains values that are not numbers")


def _array_name(stem: str, group: str, index: int, part: str) -> str:
    return f"{stem}.last.{part}" if group == "last" else f"{stem}.{group}.{index}.{part}"


def _indexed(base: str, index: int) -> str:
    """TensorFlow's name of the index-th layer of a kind: the first has no suffix."""
    return base if index == 0 else f"{base}_{index}"


class _Reader:
    def __init__(self, checkpoint: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self._checkpoint = checkpoint

    def unet(self, stem: int, spec: MaskModelSpec) -> UNetWeights:
        widths = (spec.n_channels, *spec.n_filters)
        encoder, encoder_norms, decoder, decoder_norms = [], [], [], []
        for layer in range(N_LAYERS):
            encoder.append(self._convolution(7 * stem + layer, 5, widths[layer], widths[layer + 1]))
            encoder_norms.append(self._norm(12 * stem + layer, widths[layer + 1]))
        ups = (*reversed(spec.n_filters[:-1]), 1)
        n_inputs = spec.n_filters[-1]
        for layer, n_outputs in enumerate(ups):
            decoder.append(self._transposed(6 * stem + layer, n_inputs, n_outputs))
            decoder_norms.append(self._norm(12 * stem + 6 + layer, n_outputs))
            n_inputs = 2 * n_outputs  # the skip of the same width is concatenated
        last = self._convolution(7 * stem + 6, 4, 1, spec.n_channels)
        return UNetWeights(tuple(encoder), tuple(encoder_norms), tuple(decoder), tuple(decoder_norms), last)

    def _convolution(self, index: int, size: int, n_inputs: int, n_outputs: int) -> Convolution:
        name = _indexed("conv2d", index)
        kernel = self._array(f"{name}/kernel", (size, size, n_inputs, n_outputs))
        return Convolution(kernel.transpose(0, 1, 3, 2), self._array(f"{name}/bias", (n_outputs,)))

    def _transposed(self, index: int, n_inputs: int, n_outputs: int) -> Convolution:
        name = _indexed("conv2d_transpose", index)
        kernel = self._array(f"{name}/kernel", (5, 5, n_outputs, n_inputs))
        return Convolution(kernel, self._array(f"{name}/bias", (n_outputs,)))

    def _norm(self, index: int, n_features: int) -> Norm:
        name = _indexed("batch_normalization", index)
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        return Norm(*(self._array(f"{name}/{part}", (n_features,)) for part in parts))

    def _array(self, name: str, shape: tuple[int, ...]) -> Array:
        if name not in self._checkpoint:
            raise CheckpointError(f"the checkpoint has no variable {name}: it was not made for this model")
        array = self._checkpoint[name]
        if array.shape != shape:
            raise CheckpointError(f"{name} has the shape {array.shape}, the model needs {shape}")
        if not np.isfinite(array).all():
            raise CheckpointError(f"{name} contains values that are not numbers")
        return np.asarray(array, dtype=np.float32)
