"""Stems back into one mix, each at its own level."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unweave.audio.channels import to_channels
from unweave.audio.formats import FORMATS, BitDepth
from unweave.audio.resample import Resampler
from unweave.audio.tags import Tags
from unweave.errors import AudioWriteError, OptionError
from unweave.separation.identity import check_target as check_path
from unweave.separation.identity import identity
from unweave.separation.output import OutputOptions, StemSet
from unweave.types import Stems, Waveform

SILENCE_DB = -60.0  # what a fader at its lowest means
LOUDEST_DB = 24.0
ONE_RECORDING = "this format holds several stems, not a single recording; choose another, such as .wav or .m4a"


@dataclass(frozen=True)
class Mix:
    """The settings of a mixer; stems that are not named stay as they are.

    With all gains at 0 dB and nothing muted the mix is the sum of the stems. ``pans`` range from −1 (left) to 1
    (right) and turn the other channel down; 0 changes nothing. ``solo`` mutes all other stems. A gain of
    `SILENCE_DB` or less, minus infinity too, mutes a stem.
    """

    gains_db: Mapping[str, float] = field(default_factory=dict)
    mute: Collection[str] = ()
    solo: Collection[str] = ()
    pans: Mapping[str, float] = field(default_factory=dict)

    def check(self, stems: Collection[str]) -> None:
        """Raise `OptionError` for stems that do not exist, and for levels out of range."""
        named = {*self.gains_db, *self.mute, *self.solo, *self.pans}
        unknown = sorted(named - set(stems))
        if unknown:
            raise OptionError(f"expected stems of {', '.join(stems)}, got {', '.join(unknown)}")
        for stem, gain in self.gains_db.items():
            if not gain <= LOUDEST_DB:  # not a number, too
                raise OptionError(f"expected a gain of at most {LOUDEST_DB:g} dB for {stem}, got {gain:g}")
        for stem, pan in self.pans.items():
            if not -1 <= pan <= 1:
                raise OptionError(f"expected a pan from -1 to 1 for {stem}, got {pan:g}")

    def is_heard(self, stem: str) -> bool:
        """Whether a stem is in the mix."""
        gain = self.gains_db.get(stem, 0.0)
        return stem not in self.mute and (not self.solo or stem in self.solo) and gain > SILENCE_DB

    def apply(self, stems: Mapping[str, Waveform]) -> Waveform:
        """Mix one part of the stems, (channels, samples) each, to the same shape."""
        total = np.zeros_like(next(iter(stems.values())))
        for name, waveform in stems.items():
            if self.is_heard(name):
                gain = 10 ** (self.gains_db.get(name, 0.0) / 20)
                pan = self.pans.get(name, 0.0)
                sides = [min(1.0, 1 - pan), min(1.0, 1 + pan)] if len(waveform) == 2 else [1.0]
                total += waveform * np.array(sides, np.float32)[:, None] * np.float32(gain)
        return total


def check_target(target: Path, source: Path) -> None:
    """Raise `OptionError` where a mix would overwrite the song it is made from, `AudioWriteError` where it cannot be.

    The song is known by any name: a link, another path, another case.
    """
    check_path(target)
    if target.is_dir():
        raise AudioWriteError(f"cannot write {target}: it is a folder")
    if identity(target) is not None and identity(target) == identity(source):
        raise OptionError(f"{target} is the input itself; choose another name")


def options_for(target: Path, bitrate: str, bit_depth: BitDepth, **more: Any) -> OutputOptions:
    """Options for one recording, in the format that the extension of ``target`` names. Raises `OptionError`."""
    for name, known in FORMATS.items():
        if known.layout is not None and target.name.lower().endswith(f".{name}"):
            raise OptionError(f"cannot write {target}: {ONE_RECORDING}")
    if not target.suffix:
        raise OptionError(f"cannot tell in which format to write {target}: add an extension, such as .wav or .mp3")
    return OutputOptions(target.suffix[1:], bitrate, bit_depth, **more)


def check_one_recording(target: Path, options: OutputOptions) -> None:
    """Raise `OptionError` for a format that holds several stems."""
    if options.format.layout is not None:
        raise OptionError(f"cannot write {target}: {ONE_RECORDING}")


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
    """Write the mix of ``parts``, consecutive parts of the stems, to ``target``, which appears whole or not at all."""
    rate, n_written = options.rate_for(sample_rate), options.n_channels or n_channels
    resampler = Resampler(sample_rate, rate, n_written)
    check_one_recording(target, options)
    # One mix is written as a set of one stem.
    with StemSet({"mix": target}, options, sample_rate=rate, n_channels=n_written, tags=tags) as files:
        for part in parts:
            if part.n_samples:
                files.write(Stems({"mix": resampler.push(to_channels(mix.apply(part), n_written))}, rate))
        files.write(Stems({"mix": resampler.flush(n_written)}, rate))
        files.commit()


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
