"""What is known about one SCNet."""

from __future__ import annotations

import math
from dataclasses import dataclass

N_CHANNELS = 2
PARTS = 2 * N_CHANNELS  # real and imaginary part of either channel
N_BANDS = 3  # low, middle, high
GLOBAL_KERNEL = 3  # of the convolutions over all bands
MASK_WIDTH = 64  # channels between the two convolutions that make the masks


@dataclass(frozen=True)
class Band:
    """One band at one level of the network."""

    first: int  # row, of those that enter
    n_rows: int
    before: int  # rows of zeros put before it
    after: int  # and behind it
    n_compressed: int  # rows that come out


@dataclass(frozen=True)
class ScnetSpec:
    """An SCNet: the spectrum compressed band by band, recurrent layers over frequencies and frames, and back again.

    W. Tong et al., "SCNet: Sparse compression network for music source separation", ICASSP 2024.
    """

    name: str
    stems: tuple[str, ...]  # in the order of the network
    complement: str = ""  # name of mixture minus the one stem; "" where the stems are all there is
    dims: tuple[int, ...] = (4, 32, 64, 128)  # channels at each level
    band_shares: tuple[float, ...] = (0.175, 0.392, 0.433)  # of the rows at each level
    band_strides: tuple[int, ...] = (1, 4, 16)  # rows that become one
    band_kernels: tuple[int, ...] = (3, 4, 16)
    conv_depths: tuple[int, ...] = (3, 2, 1)  # residual modules per band
    hidden_widths: tuple[int, ...] = (8, 16, 32)  # channels inside the residual modules of each level
    conv_kernel: int = 3  # of the residual modules, frames
    n_layers: int = 6  # recurrent ones; every second works on spectra over the frames
    expand: int = 1  # recurrent units per channel
    masked: bool = False  # the network gives complex masks instead of spectra
    sample_rate: int = 44100  # Hz
    n_fft: int = 4096  # samples; with a Hann window where masked, and with none otherwise
    hop_length: int = 1024  # samples
    stft_normalised: bool = True  # spectra are divided by √n_fft
    segment_samples: int = 485100
    n_overlaps: int = 4  # segments that cover each sample
    normalised: bool = False  # the track is brought to mean 0 and deviation 1 and back
    licence: str = "unknown"

    @property
    def n_bins(self) -> int:
        """Bins of the spectrum, all of which are used."""
        return self.n_fft // 2 + 1

    @property
    def n_added(self) -> int:
        """Samples of silence behind a segment, such that its frames are even in number."""
        n_added = self.hop_length - self.segment_samples % self.hop_length
        is_odd = (self.segment_samples + n_added) // self.hop_length % 2 == 0  # one frame more than hops
        return n_added + self.hop_length if is_odd else n_added

    @property
    def n_frames(self) -> int:
        """Frames of a segment."""
        return 1 + (self.segment_samples + self.n_added) // self.hop_length

    @property
    def hop_samples(self) -> int:
        """Samples from one segment to the next."""
        return self.segment_samples // self.n_overlaps

    @property
    def levels(self) -> tuple[tuple[Band, ...], ...]:
        """The bands at each level, on the way down. Raises ValueError where a band has no rows."""
        levels, n_rows = [], self.n_bins
        for _ in self.dims[1:]:
            levels.append(self._bands(n_rows))
            n_rows = sum(band.n_compressed for band in levels[-1])
        return tuple(levels)

    @property
    def n_rows(self) -> int:
        """Rows that the recurrent layers work on."""
        return sum(band.n_compressed for band in self.levels[-1])

    def _bands(self, n_rows: int) -> tuple[Band, ...]:
        low, middle, _ = self.band_shares
        edges = (0, math.ceil(n_rows * low), math.ceil(n_rows * (low + middle)), n_rows)
        bands = []
        for index, (stride, kernel) in enumerate(zip(self.band_strides, self.band_kernels, strict=True)):
            size = edges[index + 1] - edges[index]
            padding = kernel - 1 if stride == 1 else -size % stride
            n_compressed = (size + padding - kernel) // stride + 1
            if size < 1 or n_compressed < 1:
                raise ValueError(f"a band of {size} rows is too narrow for a kernel of {kernel} rows")
            if (n_compressed - 1) * stride + kernel < size:
                raise ValueError(f"a kernel of {kernel} rows at a stride of {stride} does not give {size} rows back")
            bands.append(Band(edges[index], size, padding // 2, padding - padding // 2, n_compressed))
        return tuple(bands)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every array that the network has, as checkpoints call them."""
        shapes: dict[str, tuple[int, ...]] = {}
        n_levels = len(self.dims) - 1
        for level, (n_in, n_out) in enumerate(zip(self.dims, self.dims[1:], strict=False)):
            hidden = self.hidden_widths[level]
            for band, kernel in enumerate(self.band_kernels):
                shapes |= _parts(f"encoder.{level}.SDlayer.convs.{band}", (n_out, n_in, kernel, 1))
                for depth in range(self.conv_depths[band]):
                    prefix = f"encoder.{level}.conv_modules.{band}.layers.{depth}"
                    shapes |= _parts(f"{prefix}.0", (n_out,))
                    shapes |= _parts(f"{prefix}.1", (2 * hidden, n_out, self.conv_kernel))
                    shapes |= _parts(f"{prefix}.3", (hidden, 1, self.conv_kernel))
                    shapes |= _parts(f"{prefix}.4", (hidden,))
                    shapes |= _parts(f"{prefix}.6", (n_out, hidden, 1))
                decoder = f"decoder.{n_levels - 1 - level}"
                n_given = n_in if level else n_in * len(self.stems)
                name = f"{decoder}.1.convtrs.{band}"
                shapes |= {f"{name}.weight": (n_out, n_given, kernel, 1), f"{name}.bias": (n_given,)}
            square = (GLOBAL_KERNEL, GLOBAL_KERNEL)
            shapes |= _parts(f"encoder.{level}.globalconv", (n_out, n_out, *square))
            shapes |= _parts(f"decoder.{n_levels - 1 - level}.0.conv", (2 * n_out, 2 * n_out, *square))
        for layer in range(self.n_layers):
            width = self.dims[-1] * (1 + layer % 2)
            hidden = width * self.expand
            for axis in range(2):
                prefix = f"separation_net.dp_modules.{layer}"
                shapes |= _parts(f"{prefix}.norm_layers.{axis}", (width,))
                shapes |= _parts(f"{prefix}.linear_layers.{axis}", (width, 2 * hidden))
                for suffix in ("", "_reverse"):
                    name = f"{prefix}.lstm_layers.{axis}"
                    shapes |= {
                        f"{name}.weight_ih_l0{suffix}": (4 * hidden, width),
                        f"{name}.weight_hh_l0{suffix}": (4 * hidden, hidden),
                        f"{name}.bias_ih_l0{suffix}": (4 * hidden,),
                        f"{name}.bias_hh_l0{suffix}": (4 * hidden,),
                    }
        if self.masked:
            n_numbers = PARTS * len(self.stems)
            shapes["pos_embed_f"] = (1, PARTS, self.n_bins, 1)
            shapes |= _parts("mask_layer.0", (MASK_WIDTH, n_numbers, 3, 3))
            shapes |= _parts("mask_layer.2", (n_numbers, MASK_WIDTH, 1, 1))
        return shapes


def _parts(name: str, weight: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """A weight and its bias, which has one number per output."""
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}
