"""What is known about one Open-Unmix."""

from __future__ import annotations

from dataclasses import dataclass

NETWORK = "network.onnx"
N_DENSE = 3  # fully connected layers, each with a batch norm behind it


@dataclass(frozen=True)
class OpenUnmixSpec:
    """Open-Unmix (F.-R. Stöter et al., "Open-Unmix - a reference implementation for music source separation", 2019).

    A network for each stem estimates magnitudes from those of the mixture; a Wiener filter makes stems of all of them.
    """

    name: str
    stems: tuple[str, ...]  # one for each network
    complement: str = ""  # name of mixture minus the one stem; "" where the stems are all there is
    prefixes: tuple[str, ...] = ("",)  # of the names of each network's arrays
    n_channels: int = 2  # of the networks: 1 takes and gives the mean of the magnitudes of both channels
    n_fft: int = 4096  # samples, of a Hann window
    hop_length: int = 1024  # samples
    n_input_bins: int = 1487  # lowest bins, which the networks see
    hidden_width: int = 512
    recurrent_width: int = 256  # of the recurrent layers, per direction
    n_recurrent: int = 3
    is_bidirectional: bool = True
    n_iterations: int = 1  # of the Wiener filter; 0 keeps the networks' magnitudes with the phase of the mixture
    n_wiener_frames: int = 300  # over which the filter's statistics are taken
    n_frames: int = 1200  # of a segment
    overlap: float = 0.25  # share of a segment that the next one shares
    sample_rate: int = 44100  # Hz
    licence: str = "unknown"

    def __post_init__(self) -> None:
        # JSON knows lists alone.
        object.__setattr__(self, "stems", tuple(self.stems))
        object.__setattr__(self, "prefixes", tuple(self.prefixes))

    @property
    def all_stems(self) -> tuple[str, ...]:
        """The names of all that comes out."""
        return (*self.stems, self.complement) if self.complement else self.stems

    @property
    def n_bins(self) -> int:
        """Bins of the spectrum."""
        return self.n_fft // 2 + 1

    @property
    def segment_samples(self) -> int:
        """Samples of a segment."""
        return self.hop_length * (self.n_frames - 1)

    @property
    def hop_samples(self) -> int:
        """Samples from one segment to the next."""
        return int((1 - self.overlap) * self.segment_samples)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every array of all networks, as checkpoints call them."""
        one = self.network_shapes()
        return {f"{prefix}{name}": shape for prefix in self.prefixes for name, shape in one.items()}

    def network_shapes(self) -> dict[str, tuple[int, ...]]:
        """The same of one network, without a prefix."""
        hidden, width = self.hidden_width, self.recurrent_width
        directions = ("", "_reverse") if self.is_bidirectional else ("",)
        n_out = self.n_channels * self.n_bins
        shapes: dict[str, tuple[int, ...]] = {
            "input_mean": (self.n_input_bins,),
            "input_scale": (self.n_input_bins,),
            "output_mean": (self.n_bins,),
            "output_scale": (self.n_bins,),
            "fc1.weight": (hidden, self.n_channels * self.n_input_bins),
            "fc2.weight": (hidden, hidden + width * len(directions)),
            "fc3.weight": (n_out, hidden),
        }
        for layer, size in zip(range(1, N_DENSE + 1), (hidden, hidden, n_out), strict=True):
            shapes |= {f"bn{layer}.{part}": (size,) for part in ("weight", "bias", "running_mean", "running_var")}
        for layer in range(self.n_recurrent):
            n_in = hidden if layer == 0 else width * len(directions)
            for direction in directions:
                end = f"l{layer}{direction}"
                shapes |= {
                    f"lstm.weight_ih_{end}": (4 * width, n_in),
                    f"lstm.weight_hh_{end}": (4 * width, width),
                    f"lstm.bias_ih_{end}": (4 * width,),
                    f"lstm.bias_hh_{end}": (4 * width,),
                }
        return shapes
