"""What is known about one MDX23C (TFC-TDF v3)."""

from __future__ import annotations

from dataclasses import dataclass

N_CHANNELS = 2
PARTS = 2 * N_CHANNELS  # real and imaginary part of either channel
KERNEL = 3


@dataclass(frozen=True)
class Mdx23cSpec:
    """A U-Net of convolutions over time and frequency and of linear maps along the frequencies.

    M. Kim, J. H. Lee, S. Jung, "Sound demixing challenge 2023: music demixing track technical report", 2023.
    """

    name: str
    stems: tuple[str, ...]  # in the order of the network
    complement: str = ""  # name of mixture minus the one stem; "" where the stems are all there is
    n_channels: int = 128  # at the first level
    growth: int = 128  # more channels at each level
    n_scales: int = 5
    scale: tuple[int, int] = (2, 2)  # frames and bins that become one at each level
    n_blocks: int = 2  # at each level
    bottleneck_factor: int = 4  # the linear maps go through so many times fewer numbers
    n_subbands: int = 4  # parts of the spectrum, which become channels
    norm: str = "InstanceNorm"  # or BatchNorm, GroupNorm with a number, or ""
    activation: str = "gelu"  # or relu, or elu with a number
    sample_rate: int = 44100  # Hz
    n_fft: int = 8192  # samples, of a Hann window
    hop_length: int = 1024  # samples
    n_bins: int = 4096  # the lowest, which the network sees and gives
    segment_samples: int = 261120
    n_overlaps: int = 4  # segments that cover each sample
    normalised: bool = False  # the track is brought to mean 0 and deviation 1 and back
    licence: str = "unknown"

    @property
    def n_frames(self) -> int:
        """Frames of a segment."""
        return 1 + self.segment_samples // self.hop_length

    @property
    def hop_samples(self) -> int:
        """Samples from one segment to the next."""
        return self.segment_samples // self.n_overlaps

    @property
    def n_inputs(self) -> int:
        """Channels that enter the network."""
        return PARTS * self.n_subbands

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every array that the network has, as checkpoints call them."""
        channels, rows = self.n_channels, self.n_bins // self.n_subbands
        shapes: dict[str, tuple[int, ...]] = {"first_conv.weight": (channels, self.n_inputs, 1, 1)}
        for level in range(self.n_scales):
            shapes |= self._blocks(f"encoder_blocks.{level}.tfc_tdf", channels, channels, rows)
            name = f"encoder_blocks.{level}.downscale.conv"
            shapes |= self._norm(f"{name}.0", channels)
            shapes[f"{name}.2.weight"] = (channels + self.growth, channels, *self.scale)
            channels, rows = channels + self.growth, rows // self.scale[1]
        shapes |= self._blocks("bottleneck_block", channels, channels, rows)
        for level in range(self.n_scales):
            name = f"decoder_blocks.{level}.upscale.conv"
            shapes |= self._norm(f"{name}.0", channels)
            shapes[f"{name}.2.weight"] = (channels, channels - self.growth, *self.scale)
            channels, rows = channels - self.growth, rows * self.scale[1]
            shapes |= self._blocks(f"decoder_blocks.{level}.tfc_tdf", 2 * channels, channels, rows)
        shapes["final_conv.0.weight"] = (channels, channels + self.n_inputs, 1, 1)
        shapes["final_conv.2.weight"] = (len(self.stems) * self.n_inputs, channels, 1, 1)
        return shapes

    def _blocks(self, name: str, n_in: int, n_out: int, rows: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for block in range(self.n_blocks):
            prefix, fewer = f"{name}.blocks.{block}", rows // self.bottleneck_factor
            shapes |= self._norm(f"{prefix}.tfc1.0", n_in)
            shapes[f"{prefix}.tfc1.2.weight"] = (n_out, n_in, KERNEL, KERNEL)
            shapes |= self._norm(f"{prefix}.tdf.0", n_out)
            shapes[f"{prefix}.tdf.2.weight"] = (fewer, rows)
            shapes |= self._norm(f"{prefix}.tdf.3", n_out)
            shapes[f"{prefix}.tdf.5.weight"] = (rows, fewer)
            shapes |= self._norm(f"{prefix}.tfc2.0", n_out)
            shapes[f"{prefix}.tfc2.2.weight"] = (n_out, n_out, KERNEL, KERNEL)
            shapes[f"{prefix}.shortcut.weight"] = (n_out, n_in, 1, 1)
            n_in = n_out
        return shapes

    def _norm(self, name: str, channels: int) -> dict[str, tuple[int, ...]]:
        parts = ("weight", "bias") if self.norm else ()
        moments = ("running_mean", "running_var") if self.norm == "BatchNorm" else ()
        return {f"{name}.{part}": (channels,) for part in (*parts, *moments)}
