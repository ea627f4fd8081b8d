"""The settings of a mixer: levels, pans, and who gets what stems share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from unweave.errors import OptionError
from unweave.types import Waveform

SILENCE_DB = -60.0  # what a fader at its lowest means
LOUDEST_DB = 24.0


@dataclass(frozen=True)
class Mix:
    """The settings of a mixer; stems that are not named stay as they are.

    With all gains at 0 dB and nothing muted the mix is the sum of the stems. ``pans`` range from −1 (left) to 1
    (right) and turn the other channel down; 0 changes nothing. ``solo`` mutes all other stems. A gain of
    `SILENCE_DB` or less, minus infinity too, mutes a stem. ``sensitivities`` from 0 to 1 say how much of what stems
    share goes to each (`unweave.dsp.sensitivity`); 0.5 is in the middle.
    """

    gains_db: Mapping[str, float] = field(default_factory=dict)
    mute: Collection[str] = ()
    solo: Collection[str] = ()
    pans: Mapping[str, float] = field(default_factory=dict)
    sensitivities: Mapping[str, float] = field(default_factory=dict)

    def check(self, stems: Collection[str]) -> None:
        """Raise `OptionError` for stems that do not exist, and for levels out of range."""
        named = {*self.gains_db, *self.mute, *self.solo, *self.pans, *self.sensitivities}
        unknown = sorted(named - set(stems))
        if unknown:
            raise OptionError(f"expected stems of {', '.join(stems)}, got {', '.join(unknown)}")
        for stem, gain in self.gains_db.items():
            if not gain <= LOUDEST_DB:  # not a number, too
                raise OptionError(f"expected a gain of at most {LOUDEST_DB:g} dB for {stem}, got {gain:g}")
        for stem, pan in self.pans.items():
            if not -1 <= pan <= 1:
                raise OptionError(f"expected a pan from -1 to 1 for {stem}, got {pan:g}")
        for stem, sensitivity in self.sensitivities.items():
            if not 0 <= sensitivity <= 1:
                raise OptionError(f"expected a sensitivity from 0 to 1 for {stem}, got {sensitivity:g}")

    def is_heard(self, stem: str) -> bool:
        """Whether a stem is in the mix."""
        gain = self.gains_db.get(stem, 0.0)
        return stem not in self.mute and (not self.solo or stem in self.solo) and gain > SILENCE_DB

    def gain(self, stem: str) -> float:
        """The linear gain of a stem, whether it is muted or not."""
        gain_db = self.gains_db.get(stem, 0.0)
        return float(10 ** (gain_db / 20)) if gain_db > SILENCE_DB else 0.0

    def apply(self, stems: Mapping[str, Waveform]) -> Waveform:
        """Mix one part of the stems, (channels, samples) each, to the same shape.

        Sensitivities are for `unweave.dsp.sensitivity.reshared`, which sees the parts before and after as well.
        """
        total = np.zeros_like(next(iter(stems.values())))
        for name, waveform in stems.items():
            if self.is_heard(name):
                gain = self.gain(name)
                pan = self.pans.get(name, 0.0)
                sides = [min(1.0, 1 - pan), min(1.0, 1 + pan)] if len(waveform) == 2 else [1.0]
                total += waveform * np.array(sides, np.float32)[:, None] * np.float32(gain)
        return total


def stem_numbers(given: Iterable[str], separator: str, option: str = "") -> dict[str, float]:
    """Turn texts like ``vocals=-6`` into numbers by stem. Raises `OptionError`, which names the ``option`` given."""
    numbers = {}
    for text in given:
        stem, _, number = text.rpartition(separator)
        try:
            numbers[stem.strip()] = float(number)
        except ValueError:
            raise OptionError(f"expected {option}STEM{separator}NUMBER, got {text!r}") from None
    return numbers
