"""What is known about one VR network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

NETWORK = "network.onnx"
N_CHANNELS = 2


@dataclass(frozen=True)
class Band:
    """One of the bands that a mixture is split into, each with a sample rate and a transform of its own."""

    sample_rate: int  # Hz
    hop_length: int  # samples
    n_fft: int  # samples, of a Hann window
    crop_start: int  # the bins that the network sees
    crop_stop: int
    hpf_start: int = 0  # bins of the ramps by which bands are joined again; 0: none
    hpf_stop: int = 0
    lpf_start: int = 0
    lpf_stop: int = 0
    channels: str = ""  # how left and right are mixed: mid_side_c, mid_side, stereo_n; "": not at all


@dataclass(frozen=True)
class VrSpec:
    """A VR network (tsurumeso's vocal-remover, as Ultimate Vocal Remover trained it), of version 5 or 5.1."""

    name: str
    stems: tuple[str, ...]  # the one stem whose mask the network gives
    complement: str  # name of what remains of the mixture
    version: Literal["5", "5.1"]
    bands: tuple[Band, ...]  # lowest first
    n_bins: int  # of all bands together, which the network sees
    pre_filter_start: int  # bins from which the highest are turned down
    pre_filter_stop: int
    channels: str = ""  # version 5: mid_side, mid_side_b2 or reverse, of all bands; "": none
    corrections: tuple[float, float] = (0.0, 0.0)  # added to the aggression of either channel
    aggression: float = 0.05  # how much masks are sharpened
    n_frames: int = 512  # of what the network sees at once
    sample_rate: int = 44100  # Hz, of the highest band
    weights: tuple[tuple[str, tuple[int, ...]], ...] = ()  # names and shapes of the arrays that are used
    licence: str = "unknown"

    def __post_init__(self) -> None:
        # JSON knows lists and dictionaries alone.
        bands: Any = self.bands
        object.__setattr__(self, "stems", tuple(self.stems))
        object.__setattr__(self, "corrections", tuple(self.corrections))
        object.__setattr__(self, "bands", tuple(band if isinstance(band, Band) else Band(**band) for band in bands))
        object.__setattr__(self, "weights", tuple((name, tuple(shape)) for name, shape in self.weights))

    @property
    def all_stems(self) -> tuple[str, ...]:
        """The names of all that comes out: the stem, then the complement."""
        return (*self.stems, self.complement)

    @property
    def sums_to_mixture(self) -> bool:
        """Whether the stem and the complement together are the mixture: not what bands lack, or have twice."""
        return False

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every array that the network has."""
        return dict(self.weights)

    @property
    def n_fft(self) -> int:
        """Samples of a frame in the highest band."""
        return self.bands[-1].n_fft

    @property
    def n_edge_frames(self) -> int:
        """Frames at either end of what the network sees that it gives no mask for."""
        return 128 if self.version == "5" else 64

    @property
    def n_given_frames(self) -> int:
        """Frames that it gives masks for."""
        return self.n_frames - 2 * self.n_edge_frames
