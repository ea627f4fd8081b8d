"""What is known about one MDX-Net."""

from __future__ import annotations

from dataclasses import dataclass

NETWORK = "network.onnx"
N_CHANNELS = 2
N_PARTS = 2 * N_CHANNELS  # real and imaginary part of either channel


@dataclass(frozen=True)
class MdxSpec:
    """An MDX-Net (M. Kim et al., "KUIELab-MDX-Net", 2021): a U-Net from the spectrum of the mixture to that of a stem.

    The published files are ONNX graphs, and the graph is the network. What surrounds it is not written in them.
    """

    name: str
    stems: tuple[str, ...]  # the one stem that the network gives
    complement: str  # name of what remains of the mixture
    n_fft: int  # samples, of a Hann window
    n_bins: int  # lowest bins of the spectrum, which the network sees; those above stay silent
    n_frames: int = 256  # of a segment
    compensation: float = 1.0  # the complement is the mixture minus so many times the stem
    denoise: bool = False  # also run on the inverted mixture, so that noise of the network itself cancels
    overlap: float = 0.25  # share of a segment that the next one shares
    hop_length: int = 1024  # samples
    sample_rate: int = 44100  # Hz
    weights: tuple[tuple[str, tuple[int, ...]], ...] = ()  # names and shapes of the arrays in the file
    graph: str = ""  # of the file, without the weights; see `unweave.families.mdx.graph.without_weights`
    licence: str = "unknown"

    def __post_init__(self) -> None:
        # JSON knows lists alone.
        object.__setattr__(self, "stems", tuple(self.stems))
        object.__setattr__(self, "weights", tuple((name, tuple(shape)) for name, shape in self.weights))

    @property
    def all_stems(self) -> tuple[str, ...]:
        """The names of all that comes out: the stem, then the complement."""
        return (*self.stems, self.complement)

    @property
    def sums_to_mixture(self) -> bool:
        """Whether the stem and the complement together are the mixture."""
        return self.compensation == 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every array in the file."""
        return dict(self.weights)

    @property
    def segment_samples(self) -> int:
        """Samples of a segment."""
        return self.hop_length * (self.n_frames - 1)

    @property
    def hop_samples(self) -> int:
        """Samples from one segment to the next."""
        return int((1 - self.overlap) * self.segment_samples)

    @property
    def edge_samples(self) -> int:
        """Samples of silence before the track: half a window."""
        return self.n_fft // 2
