"""What the description of a hybrid network, one of Demucs 3 or 4, says about its surroundings."""

from __future__ import annotations

from typing import Protocol


class HybridSpec(Protocol):
    """A network over the samples and over their spectrum; what describes one of a family is derived from this."""

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
        """Samples of a frame; the hop is a quarter."""
        ...

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return self.n_fft // 4

    @property
    def audio_channels(self) -> int:
        """Channels of the mixture."""
        ...

    @property
    def n_frames(self) -> int:
        """Frames of a segment."""
        return -(-self.segment_samples // self.hop_length)

    @property
    def n_bins(self) -> int:
        """Bins that the network sees: all but the highest."""
        return self.n_fft // 2

    @property
    def zero_borders(self) -> bool:
        """Whether the spectrum of a segment continues it with zeros rather than with its reflection."""
        ...
