"""What the description of a hybrid network, one of Demucs 3 or 4, says about its surroundings."""

from __future__ import annotations

from typing import Protocol


class HybridSpec(Protocol):
    """A network over the samples and over their spectrum."""

    @property
    def stems(self) -> tuple[str, ...]:
        """In the order of the network's outputs."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz."""
        ...

    @property
    def segment_samples(self) -> int:
        """Samples that are separated at once."""
        ...

    @property
    def n_fft(self) -> int:
        """Samples of a frame."""
        ...

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        ...

    @property
    def audio_channels(self) -> int:
        """Channels of the mixture."""
        ...

    @property
    def n_frames(self) -> int:
        """Frames of a segment."""
        ...

    @property
    def n_bins(self) -> int:
        """Bins that the network sees."""
        ...

    @property
    def zero_borders(self) -> bool:
        """Whether the spectrum of a segment continues it with zeros rather than with its reflection."""
        ...
