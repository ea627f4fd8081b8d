"""What is known about one BS-RoFormer or Mel-Band RoFormer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unweave.families.roformer.bands import BS_BANDS, mel_bands, neighbouring_bands

N_CHANNELS = 2
NUMBERS_PER_BIN = 2 * N_CHANNELS  # real and imaginary part of either channel


@dataclass(frozen=True)
class RoformerSpec:
    """A RoFormer: transformers over time and over frequency bands in turn, then a mask for each stem."""

    name: str
    kind: Literal["bs", "mel"]
    stems: tuple[str, ...]  # in the order of the mask estimators
    complement: str = ""  # name of mixture minus the one stem; "" where the stems are all there is
    dim: int = 384  # numbers per band and frame
    depth: int = 12
    time_depth: int = 1  # transformers over time per layer
    frequency_depth: int = 1  # and over bands
    n_heads: int = 8
    head_width: int = 64
    ff_width: int = 1536  # of the feed-forward parts
    mask_widths: tuple[int, ...] = (1536,)  # of the hidden layers of the mask estimators
    band_sizes: tuple[int, ...] = BS_BANDS  # bs: bins per band
    n_bands: int = 60  # mel: bands
    bands_rate: int = 0  # mel: Hz of the signals that the bands were laid out for; 0: the sample rate
    skip_connections: bool = False  # each layer's input is also given the outputs of all layers before it
    zero_dc: bool = True  # the lowest bin of each stem is set to zero
    sample_rate: int = 44100  # Hz
    n_fft: int = 2048  # samples, of a Hann window
    hop_length: int = 441  # samples
    segment_samples: int = 352800
    n_overlaps: int = 2  # segments that cover each sample
    normalised: bool = False  # the track is brought to mean 0 and deviation 1 and back
    licence: str = "unknown"

    @property
    def bands(self) -> tuple[tuple[int, ...], ...]:
        """The bins of each band, lowest band first."""
        if self.kind == "bs":
            return neighbouring_bands(self.band_sizes)
        return mel_bands(self.n_bands, self.n_fft, self.bands_rate or self.sample_rate)

    @property
    def n_bins(self) -> int:
        """Bins of the spectrum, all of which are masked."""
        return self.n_fft // 2 + 1

    @property
    def n_frames(self) -> int:
        """Frames of a segment."""
        return 1 + self.segment_samples // self.hop_length

    @property
    def hop_samples(self) -> int:
        """Samples from one segment to the next."""
        return self.segment_samples // self.n_overlaps

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every array that the network has, as checkpoints call them."""
        inner = self.n_heads * self.head_width
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.depth):
            for axis, depth in enumerate((self.time_depth, self.frequency_depth)):
                for block in range(depth):
                    prefix = f"layers.{layer}.{axis}.layers.{block}"
                    shapes |= {
                        f"{prefix}.0.rotary_embed.freqs": (self.head_width // 2,),
                        f"{prefix}.0.norm.gamma": (self.dim,),
                        f"{prefix}.0.to_qkv.weight": (3 * inner, self.dim),
                        f"{prefix}.0.to_gates.weight": (self.n_heads, self.dim),
                        f"{prefix}.0.to_gates.bias": (self.n_heads,),
                        f"{prefix}.0.to_out.0.weight": (self.dim, inner),
                        f"{prefix}.1.net.0.gamma": (self.dim,),
                        f"{prefix}.1.net.1.weight": (self.ff_width, self.dim),
                        f"{prefix}.1.net.1.bias": (self.ff_width,),
                        f"{prefix}.1.net.4.weight": (self.dim, self.ff_width),
                        f"{prefix}.1.net.4.bias": (self.dim,),
                    }
                if self.kind == "mel":
                    shapes[f"layers.{layer}.{axis}.norm.gamma"] = (self.dim,)
        if self.kind == "bs":
            shapes["final_norm.gamma"] = (self.dim,)
        for band, bins in enumerate(self.bands):
            n_inputs = NUMBERS_PER_BIN * len(bins)
            shapes |= {
                f"band_split.to_features.{band}.0.gamma": (n_inputs,),
                f"band_split.to_features.{band}.1.weight": (self.dim, n_inputs),
                f"band_split.to_features.{band}.1.bias": (self.dim,),
            }
            widths = (self.dim, *self.mask_widths, 2 * n_inputs)
            for stem in range(len(self.stems)):
                for step in range(len(widths) - 1):
                    prefix = f"mask_estimators.{stem}.to_freqs.{band}.0.{2 * step}"
                    shapes[f"{prefix}.weight"] = (widths[step + 1], widths[step])
                    shapes[f"{prefix}.bias"] = (widths[step + 1],)
        return shapes
