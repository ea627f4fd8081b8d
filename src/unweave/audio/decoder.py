"""What every decoder gives, whatever library is behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from unweave.audio.tags import Tags
from unweave.types import Waveform


@dataclass(frozen=True)
class Piece:
    """Some decoded samples: (channels, samples), as many channels as the file has there."""

    waveform: Waveform
    sample_rate: int  # Hz
    speakers: tuple[str, ...] | None = None  # the channels by FFmpeg's names ("FL", "FC", …), where they are known


class Decoder(Protocol):
    """One stream of audio, decoded once from its beginning to its end."""

    sample_rate: int  # Hz, as the header has it
    n_channels: int
    is_headless: bool  # whether it is a stream of frames, each with its own header, and none for all of them
    stores_samples: bool  # whether the file holds samples as they are, and not a compressed form of them
    stopped_early: bool  # whether something else than the end of the file has ended `pieces`

    @property
    def seconds(self) -> float | None:
        """How long the header says it is; None where it does not."""

    @property
    def stated_seconds(self) -> float | None:
        """The same, only where the header states it outright; None where it would be an estimate."""

    @property
    def tags(self) -> Tags:
        """What the file says about its music."""

    def pieces(self) -> Iterator[Piece | None]:
        """The audio in order; None stands for a packet that is damaged. Raises `AudioReadError`."""

    def close(self) -> None:
        """Close the file."""
