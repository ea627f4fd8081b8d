"""Files that hold a song as several streams: Native Instruments' ``.stem.mp4`` and VirtualDJ's ``.vdjstems``.

A stem file (Native Instruments, "Stem file specification") is an MP4 whose first stream is the mixture, which any
player plays, and whose next four are the stems; a JSON in ``moov/udta/stem`` gives their names and colours and the
settings of the compressor and limiter that a player puts behind them. VirtualDJ's has five titled streams and no
mixture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unweave.audio.colours import colour_of
from unweave.types import Waveform

MIXTURE = "mixture"
REST = "rest"  # every stem that has no stream of its own
STEM_LABELS = tuple((name, colour_of(name)) for name in ("Drums", "Bass", "Other", "Vocals"))
# Switched off: the stems of a mastered song need no mastering.
MASTERING = {
    "compressor": {
        "enabled": False,
        "input_gain": 0.5,
        "output_gain": 0.5,
        "threshold": 0,
        "dry_wet": 50,
        "attack": 0.003,
        "release": 0.3,
        "ratio": 3,
        "hp_cutoff": 300,
    },
    "limiter": {"enabled": False, "threshold": 0, "ceiling": -0.35, "release": 0.05},
}


@dataclass(frozen=True)
class StreamLayout:
    """The streams of a file in their order: title → the stems that are added up in it."""

    streams: tuple[tuple[str, tuple[str, ...]], ...]
    has_stem_atom: bool = False

    @property
    def titles(self) -> tuple[str, ...]:
        """What the streams are called."""
        return tuple(title for title, _ in self.streams)

    def rows(self, stems: Mapping[str, Waveform]) -> Waveform:
        """Stems (channels, samples) each → all streams' channels below each other: (streams · channels, samples).

        The mixture is the sum of the stems; a stem that the model does not give is silent.
        """
        stems = {name.casefold(): waveform for name, waveform in stems.items()}
        own = {name for _, names in self.streams for name in names}
        silence = np.zeros_like(next(iter(stems.values())))
        rows = []
        for _, names in self.streams:
            wanted: Sequence[str] = names
            if MIXTURE in names:
                wanted = tuple(stems)
            elif REST in names:
                wanted = tuple(name for name in stems if name in names or name not in own)
            parts = [stems[name] for name in wanted if name in stems]
            rows.append(sum(parts[1:], start=parts[0]) if parts else silence)
        return np.concatenate(rows)


STEM_MP4 = StreamLayout(
    (
        ("Mixture", (MIXTURE,)),
        ("Drums", ("drums",)),
        ("Bass", ("bass",)),
        ("Other", ("other", REST)),
        ("Vocals", ("vocals",)),
    ),
    has_stem_atom=True,
)
# VirtualDJ splits drums in two; ours are all in the second, and its drum buttons move both.
VDJSTEMS = StreamLayout(
    (
        ("vocal", ("vocals",)),
        ("hihat", ("hihat",)),
        ("bass", ("bass",)),
        ("instruments", ("other", REST)),
        ("kick", ("drums",)),
    )
)


def stem_atom() -> bytes:
    """The payload of ``moov/udta/stem``."""
    stems = [{"name": name, "color": colour} for name, colour in STEM_LABELS]
    return json.dumps({"mastering_dsp": MASTERING, "version": 1, "stems": stems}).encode()
