"""What describes an HDemucs network, as frozen data, and the tensors that follow from it.

Hybrid Demucs: A. Défossez, "Hybrid spectrogram and waveform source separation", MDX workshop at ISMIR 2021. The fields
keep the names of the original's constructor (``demucs.hdemucs.HDemucs``, demucs 4.1.0) where a checkpoint states them
by that name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from unweave.families.demucs.arguments import Shape
from unweave.families.demucs.spec import HybridSpec

N_HEADS = 4  # of the attention in residual branches
N_DECAYS = 4  # penalties of distance that each head mixes
N_RECURRENT = 2  # layers of the recurrent network in residual branches


@dataclass(frozen=True)
class Layer:
    """One layer of an encoder, and of the decoder that undoes it."""

    index: int  # counted from the input
    n_inputs: int
    n_outputs: int  # of the decoder's layer
    n_channels: int
    has_rows: bool  # works along the rows of a spectrum, and otherwise along time
    kernel: int
    stride: int
    pad: int  # on either side
    is_plain: bool = False  # nothing but its convolution: the last one over the samples


@dataclass(frozen=True)
class HDemucsSpec(HybridSpec):
    """One HDemucs network. The defaults are those of the published ``hdemucs_mmi``."""

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")  # in the order of the network's outputs
    sample_rate: int = 44100  # Hz
    segment_samples: int = 44 * 44100
    audio_channels: int = 2
    n_fft: int = 4096  # samples; the hop is a quarter
    channels: int = 48  # of the first layer over the spectrum
    channels_time: int = 48  # of the first layer over the samples
    growth: int = 2  # each layer has so many times the channels of the one before
    depth: int = 6  # layers of the encoder over the spectrum; the last of them see a single row
    kernel_size: int = 8  # along the frequencies, or the samples; always twice the stride
    stride: int = 4
    time_stride: int = 2  # of the layers that see a single row
    context: int = 1  # frames and bins on either side that the decoder's gated convolution sees
    context_enc: int = 0  # the same in the encoder
    freq_emb: float = 0.2  # weight of what is added per frequency after the first layer; 0: nothing is
    emb_scale: float = 10.0  # by which the stored embedding is multiplied
    norm_starts: int = 4  # the first layer with norms
    norm_groups: int = 4  # of channels that are normalised together
    dconv_mode: int = 1  # residual branches in: 1 the encoder, 2 the decoder, 3 both, 0 neither
    dconv_depth: int = 2  # layers of a residual branch
    dconv_comp: int = 4  # a residual branch has so many times fewer channels
    dconv_attn: int = 4  # the first layer with attention in its residual branches
    dconv_lstm: int = 4  # the first layer with a recurrent network in them
    zero_borders: bool = False  # ``hybrid_old``: what is beyond a segment counts as silence, not as its reflection

    @property
    def merge(self) -> int:
        """The layer that leaves a single row of the spectrum, in which the samples join it."""
        rows, layer = self.n_bins, 0
        while rows > self.kernel_size:
            rows, layer = rows // self.stride, layer + 1
        return layer

    def layers(self, *, time: bool) -> list[Layer]:
        """The layers of the encoder over the samples, or over the spectrum and what both have become."""
        first = self.channels_time if time else self.channels
        widest = max(self.channels, self.channels_time)  # of which the joint layers are made
        n_parts = 1 if time else 2  # real and imaginary
        layers: list[Layer] = []
        for index in range(self.merge + 1 if time else self.depth):
            is_deep = index > self.merge
            stride = self.time_stride if is_deep else self.stride
            outer = layers[-1].n_channels if layers else self.audio_channels * n_parts
            layers.append(
                Layer(
                    index,
                    n_inputs=outer,
                    n_outputs=outer if layers else len(self.stems) * outer,
                    n_channels=(widest if index >= self.merge else first) * self.growth**index,
                    has_rows=not time and not is_deep,
                    kernel=2 * stride,
                    stride=stride,
                    pad=0 if index == self.merge and not time else stride // 2,
                    is_plain=time and index == self.merge,
                )
            )
        return layers

    def has_norms(self, layer: Layer) -> bool:
        """Whether a layer has norms."""
        return layer.index >= self.norm_starts

    def is_recurrent(self, layer: Layer) -> bool:
        """Whether the residual branches of a layer have a recurrent network."""
        return layer.index >= self.dconv_lstm

    def has_attention(self, layer: Layer) -> bool:
        """Whether the residual branches of a layer have attention."""
        return layer.index >= self.dconv_attn

    def shapes(self) -> dict[str, Shape]:
        """The name and shape of every tensor of the checkpoint."""
        shapes: dict[str, Shape] = {}
        for prefix, time in (("", False), ("t", True)):
            layers = self.layers(time=time)
            for layer in layers:
                shapes.update(self._encoder_shapes(f"{prefix}encoder.{layer.index}", layer))
                position = len(layers) - 1 - layer.index
                shapes.update(self._decoder_shapes(f"{prefix}decoder.{position}", layer))
        if self.freq_emb:
            shapes["freq_emb.embedding.weight"] = (self.n_bins // self.stride, self.channels)
        return shapes

    @property
    def n_parameters(self) -> int:
        """How many numbers the checkpoint holds."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def _encoder_shapes(self, name: str, layer: Layer) -> dict[str, Shape]:
        channels = layer.n_channels
        extra = (1,) if layer.has_rows else ()
        shapes: dict[str, Shape] = {
            f"{name}.conv.weight": (channels, layer.n_inputs, layer.kernel, *extra),
            f"{name}.conv.bias": (channels,),
        }
        if layer.is_plain:
            return shapes
        if self.has_norms(layer):
            shapes |= _affine(f"{name}.norm1", channels) | _affine(f"{name}.norm2", 2 * channels)
        shapes |= self._rewrite_shapes(f"{name}.rewrite", layer, self.context_enc)
        if self.dconv_mode & 1:
            shapes |= self._dconv_shapes(f"{name}.dconv", layer)
        return shapes

    def _decoder_shapes(self, name: str, layer: Layer) -> dict[str, Shape]:
        extra = (1,) if layer.has_rows else ()
        shapes: dict[str, Shape] = {
            f"{name}.conv_tr.weight": (layer.n_channels, layer.n_outputs, layer.kernel, *extra),
            f"{name}.conv_tr.bias": (layer.n_outputs,),
        }
        if self.has_norms(layer):
            shapes |= _affine(f"{name}.norm2", layer.n_outputs)
        if layer.is_plain:
            return shapes
        if self.has_norms(layer):
            shapes |= _affine(f"{name}.norm1", 2 * layer.n_channels)
        shapes |= self._rewrite_shapes(f"{name}.rewrite", layer, self.context)
        if self.dconv_mode & 2:
            shapes |= self._dconv_shapes(f"{name}.dconv", layer)
        return shapes

    def _rewrite_shapes(self, name: str, layer: Layer, context: int) -> dict[str, Shape]:
        reach = (2 * context + 1,) * (2 if layer.has_rows else 1)
        channels = layer.n_channels
        return {f"{name}.weight": (2 * channels, channels, *reach), f"{name}.bias": (2 * channels,)}

    def _dconv_shapes(self, name: str, layer: Layer) -> dict[str, Shape]:
        channels = layer.n_channels
        hidden = channels // self.dconv_comp
        shapes: dict[str, Shape] = {}
        for depth in range(self.dconv_depth):
            at, index = f"{name}.layers.{depth}", 3
            shapes |= {f"{at}.0.weight": (hidden, channels, 3), f"{at}.0.bias": (hidden,)}
            shapes |= _affine(f"{at}.1", hidden)
            if self.is_recurrent(layer):
                shapes |= _recurrent_shapes(f"{at}.{index}", hidden)
                index += 1
            if self.has_attention(layer):
                for part in ("content", "query", "key", "query_decay", "proj"):
                    n_outputs = N_HEADS * N_DECAYS if part == "query_decay" else hidden
                    shapes[f"{at}.{index}.{part}.weight"] = (n_outputs, hidden, 1)
                    shapes[f"{at}.{index}.{part}.bias"] = (n_outputs,)
                index += 1
            shapes |= {f"{at}.{index}.weight": (2 * channels, hidden, 1), f"{at}.{index}.bias": (2 * channels,)}
            shapes |= _affine(f"{at}.{index + 1}", 2 * channels)
            shapes[f"{at}.{index + 3}.scale"] = (channels,)
        return shapes


def _affine(name: str, n_channels: int) -> dict[str, Shape]:
    return {f"{name}.weight": (n_channels,), f"{name}.bias": (n_channels,)}


def _recurrent_shapes(name: str, hidden: int) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for layer in range(N_RECURRENT):
        for direction in ("", "_reverse"):
            end = f"l{layer}{direction}"
            shapes |= {
                f"{name}.lstm.weight_ih_{end}": (4 * hidden, 2 * hidden if layer else hidden),
                f"{name}.lstm.weight_hh_{end}": (4 * hidden, hidden),
                f"{name}.lstm.bias_ih_{end}": (4 * hidden,),
                f"{name}.lstm.bias_hh_{end}": (4 * hidden,),
            }
    return shapes | {f"{name}.linear.weight": (hidden, 2 * hidden), f"{name}.linear.bias": (hidden,)}
