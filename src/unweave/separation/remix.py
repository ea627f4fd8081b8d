"""Stems back into one mix, each at its own level."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unweave.audio.resample import Resampler
from unweave.audio.tags import Tags
from unweave.errors import OptionError
from unweave.separation.output import OutputOptions, StemSet
from unweave.types import Stems, Waveform

SILENCE_DB = -60.0  # what a fader at its lowest means
LOUDEST_DB = 24.0


@dataclass(frozen=True)
class Mix:
    """What a mixer is set to; stems that are not named are as they were.

    With all gains at 0 dB and nothing muted the mix is the sum of the stems. ``pans`` go from −1 (left) to 1; the
    other channel is turned down (a balance), the middle changes nothing. ``solo`` mutes all others.
    """

    gains_db: Mapping[str, float] = field(default_factory=dict)
    mute: Collection[str] = ()
    solo: Collection[str] = ()
    pans: Mapping[str, float] = field(default_factory=dict)

    def check(self, stems: Collection[str]) -> None:
        """Raise `OptionError` for stems that there are not, and for levels beyond reason."""
        named = {*self.gains_db, *self.mute, *self.solo, *self.pans}
        unknown = sorted(named - set(stems))
        if unknown:
            raise OptionError(f"expected stems of {', '.join(stems)}, got {', '.join(unknown)}")
        if any(not math.isfinite(gain) or gain > LOUDEST_DB for gain in self.gains_db.values()):
            raise OptionError(f"expected gains of at most {LOUDEST_DB:g} dB")
        if any(not -1 <= pan <= 1 for pan in self.pans.values()):
            raise OptionError("expected pans from -1 to 1")

    def is_heard(self, stem: str) -> bool:
        """Whether a stem is in the mix."""
        gain = self.gains_db.get(stem, 0.0)
        return stem not in self.mute and (not self.solo or stem in self.solo) and gain > SILENCE_DB

    def apply(self, stems: Mapping[str, Waveform]) -> Waveform:
        """The mix of a part of the stems: (channels, samples)."""
        total = np.zeros_like(next(iter(stems.values())))
        for name, waveform in stems.items():
            if self.is_heard(name):
                gain = 10 ** (self.gains_db.get(name, 0.0) / 20)
                pan = self.pans.get(name, 0.0)
                sides = [min(1.0, 1 - pan), min(1.0, 1 + pan)] if len(waveform) == 2 else [1.0]
                total += waveform * np.array(sides, np.float32)[:, None] * np.float32(gain)
        return total


def write_mix(
    parts: Iterable[Stems],
    mix: Mix,
    target: Path,
    options: OutputOptions,
    *,
    sample_rate: int,
    n_channels: int,
    tags: Tags,
) -> None:
    """Write the mix of ``parts``, stems that follow each other, to ``target``, which appears whole or not at all."""
    rate = options.rate_for(sample_rate)
    resampler = Resampler(sample_rate, rate, n_channels)
    # One mix is written as a set of one stem.
    with StemSet({"mix": target}, options, sample_rate=rate, n_channels=n_channels, tags=tags) as files:
        for part in parts:
            if part.n_samples:
                files.write(Stems({"mix": resampler.push(mix.apply(part))}, rate))
        files.write(Stems({"mix": resampler.flush(n_channels)}, rate))
        files.commit()


def stem_numbers(given: Iterable[str], separator: str, option: str = "") -> dict[str, float]:
    """Texts like ``vocals=-6`` as numbers by stem. Raises `OptionError`, which names the ``option`` they came by."""
    numbers = {}
    for text in given:
        stem, _, number = text.rpartition(separator)
        try:
            numbers[stem.strip()] = float(number)
        except ValueError:
            raise OptionError(f"expected {option}STEM{separator}NUMBER, got {text!r}") from None
    return numbers
