"""What describes an HTDemucs network, as frozen data, and the tensors that follow from it.

Hybrid Transformer Demucs: S. Rouard, F. Massa, A. Défossez, "Hybrid transformers for music source separation", ICASSP
2023. The fields keep the names of the original's constructor (``demucs.htdemucs.HTDemucs``, demucs 4.1.0) where a
checkpoint states them by that name, so that a description can be compared with the file it came from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from unweave.families.demucs.arguments import Shape
from unweave.families.demucs.spec import HybridSpec


@dataclass(frozen=True)
class HTDemucsSpec(HybridSpec):
    """One HTDemucs network: two U-Nets, over the spectrum and over the samples, joined by a transformer.

    The defaults are those of the published ``htdemucs``.
    """

    stems: tuple[str, ...] = ("drums", "bass", "other", "vocals")  # in the order of the network's outputs
    sample_rate: int = 44100  # Hz
    segment_samples: int = 343_980  # 7.8 s, what the network was trained on
    audio_channels: int = 2
    n_fft: int = 4096  # samples; the hop is a quarter
    channels: int = 48  # of the first layer over the spectrum
    channels_time: int = 48  # of the first layer over the samples
    growth: int = 2  # each layer has so many times the channels of the one before
    depth: int = 4  # layers of either encoder
    kernel_size: int = 8  # along the frequencies, or the samples; always twice the stride
    stride: int = 4
    context: int = 1  # frames and bins on either side that the decoder's gated convolution sees
    context_enc: int = 0  # the same in the encoder
    freq_emb: float = 0.2  # weight of what is added per frequency after the first layer; 0: nothing is
    emb_scale: float = 10.0  # by which the stored embedding is multiplied
    dconv_mode: int = 3  # residual branches in: 1 the encoder, 2 the decoder, 3 both, 0 neither
    dconv_depth: int = 2  # layers of a residual branch
    dconv_comp: int = 8  # a residual branch has so many times fewer channels
    bottom_channels: int = 512  # of the transformer; 0: those of the last layer
    t_layers: int = 5
    t_heads: int = 8
    t_hidden_scale: float = 4.0  # width of the feed-forward layers over that of the transformer
    t_max_period: float = 10000.0  # of the sines that encode positions
    t_weight_pos_embed: float = 1.0
    t_cross_first: bool = False  # whether the first layer attends to the other branch rather than to its own
    t_norm_in: bool = True
    t_norm_out: bool = True
    t_layer_scale: bool = True
    t_gelu: bool = True  # otherwise ReLU

    @property
    def zero_borders(self) -> bool:
        """Whether a segment's spectrum continues it with zeros: never here."""
        return False

    @property
    def transformer_channels(self) -> int:
        """Width of the transformer."""
        return self.bottom_channels or self.layer_channels(self.depth - 1, time=False)

    @property
    def hidden_channels(self) -> int:
        """Width of the feed-forward layers."""
        return int(self.transformer_channels * self.t_hidden_scale)

    def layer_channels(self, layer: int, *, time: bool) -> int:
        """Channels that layer ``layer`` of an encoder gives, counted from the input."""
        return (self.channels_time if time else self.channels) * int(self.growth**layer)

    def is_cross(self, layer: int) -> bool:
        """Whether layer ``layer`` of the transformer attends to the other branch."""
        return layer % 2 != int(self.t_cross_first)

    def time_lengths(self) -> list[int]:
        """Samples that enter each layer of the encoder over the samples, and what leaves the last."""
        lengths = [self.segment_samples]
        for _ in range(self.depth):
            lengths.append(-(-lengths[-1] // self.stride))
        return lengths

    def shapes(self) -> dict[str, Shape]:
        """The name and shape of every tensor of the checkpoint, in the original's own order of modules."""
        shapes: dict[str, Shape] = {}
        for branch, time in (("encoder", False), ("tencoder", True)):
            for layer in range(self.depth):
                shapes.update(self._encoder_shapes(f"{branch}.{layer}", layer, time=time))
        for branch, time in (("decoder", False), ("tdecoder", True)):
            for position in range(self.depth):
                layer = self.depth - 1 - position
                shapes.update(self._decoder_shapes(f"{branch}.{position}", layer, time=time))
        if self.freq_emb:
            shapes["freq_emb.embedding.weight"] = (self.n_bins // self.stride, self.channels)
        deepest = self.layer_channels(self.depth - 1, time=False)
        if self.bottom_channels:
            for suffix in ("", "_t"):
                shapes[f"channel_upsampler{suffix}.weight"] = (self.bottom_channels, deepest, 1)
                shapes[f"channel_upsampler{suffix}.bias"] = (self.bottom_channels,)
                shapes[f"channel_downsampler{suffix}.weight"] = (deepest, self.bottom_channels, 1)
                shapes[f"channel_downsampler{suffix}.bias"] = (deepest,)
        if self.t_layers:
            shapes.update(self._transformer_shapes())
        return shapes

    @property
    def n_parameters(self) -> int:
        """How many numbers the checkpoint holds."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def _encoder_shapes(self, name: str, layer: int, *, time: bool) -> dict[str, Shape]:
        channels = self.layer_channels(layer, time=time)
        n_inputs = self.layer_channels(layer - 1, time=time) if layer else self.audio_channels * (1 if time else 2)
        extra = () if time else (1,)
        context = 2 * self.context_enc + 1
        shapes: dict[str, Shape] = {
            f"{name}.conv.weight": (channels, n_inputs, self.kernel_size, *extra),
            f"{name}.conv.bias": (channels,),
            f"{name}.rewrite.weight": (2 * channels, channels, context, *(() if time else (context,))),
            f"{name}.rewrite.bias": (2 * channels,),
        }
        if self.dconv_mode & 1:
            shapes.update(self._dconv_shapes(f"{name}.dconv", channels))
        return shapes

    def _decoder_shapes(self, name: str, layer: int, *, time: bool) -> dict[str, Shape]:
        channels = self.layer_channels(layer, time=time)
        n_stem_channels = len(self.stems) * self.audio_channels * (1 if time else 2)
        n_outputs = self.layer_channels(layer - 1, time=time) if layer else n_stem_channels
        context = 2 * self.context + 1
        shapes: dict[str, Shape] = {
            f"{name}.conv_tr.weight": (channels, n_outputs, self.kernel_size, *(() if time else (1,))),
            f"{name}.conv_tr.bias": (n_outputs,),
            f"{name}.rewrite.weight": (2 * channels, channels, context, *(() if time else (context,))),
            f"{name}.rewrite.bias": (2 * channels,),
        }
        if self.dconv_mode & 2:
            shapes.update(self._dconv_shapes(f"{name}.dconv", channels))
        return shapes

    def _dconv_shapes(self, name: str, channels: int) -> dict[str, Shape]:
        hidden = channels // self.dconv_comp
        shapes: dict[str, Shape] = {}
        for layer in range(self.dconv_depth):
            at = f"{name}.layers.{layer}"
            shapes |= {
                f"{at}.0.weight": (hidden, channels, 3),
                f"{at}.0.bias": (hidden,),
                f"{at}.1.weight": (hidden,),
                f"{at}.1.bias": (hidden,),
                f"{at}.3.weight": (2 * channels, hidden, 1),
                f"{at}.3.bias": (2 * channels,),
                f"{at}.4.weight": (2 * channels,),
                f"{at}.4.bias": (2 * channels,),
                f"{at}.6.scale": (channels,),
            }
        return shapes

    def _transformer_shapes(self) -> dict[str, Shape]:
        width, hidden = self.transformer_channels, self.hidden_channels
        shapes: dict[str, Shape] = {}

        def affine(name: str) -> None:
            shapes[f"{name}.weight"] = (width,)
            shapes[f"{name}.bias"] = (width,)

        if self.t_norm_in:
            affine("crosstransformer.norm_in")
            affine("crosstransformer.norm_in_t")
        for branch in ("layers", "layers_t"):
            for layer in range(self.t_layers):
                at = f"crosstransformer.{branch}.{layer}"
                attention = f"{at}.{'cross' if self.is_cross(layer) else 'self'}_attn"
                shapes |= {
                    f"{attention}.in_proj_weight": (3 * width, width),
                    f"{attention}.in_proj_bias": (3 * width,),
                    f"{attention}.out_proj.weight": (width, width),
                    f"{attention}.out_proj.bias": (width,),
                    f"{at}.linear1.weight": (hidden, width),
                    f"{at}.linear1.bias": (hidden,),
                    f"{at}.linear2.weight": (width, hidden),
                    f"{at}.linear2.bias": (width,),
                }
                for norm in ("norm1", "norm2", *(("norm3",) if self.is_cross(layer) else ())):
                    affine(f"{at}.{norm}")
                if self.t_norm_out:
                    affine(f"{at}.norm_out")
                if self.t_layer_scale:
                    shapes[f"{at}.gamma_1.scale"] = (width,)
                    shapes[f"{at}.gamma_2.scale"] = (width,)
        return shapes
