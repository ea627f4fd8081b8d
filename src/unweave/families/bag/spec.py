"""What describes a bag, as frozen data."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class BagSpec:
    """Several networks over the same segments, whose estimates of each stem are added by their shares."""

    family: str  # of all members
    members: tuple[str, ...]  # the family's own description of each network, as JSON
    shares: tuple[tuple[float, ...], ...]  # (members, stems); those of a stem sum to one
    stems: tuple[str, ...]  # what each network gives, in its order
    sample_rate: int  # Hz

    @property
    def n_fft(self) -> int:
        """Samples of a frame of its first network."""
        return int(json.loads(self.members[0])["n_fft"])
