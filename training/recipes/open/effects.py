"""What stands between an instrument and a record: amplifiers, cabinets, compressors, rooms, each time others."""

import numpy as np
from pedalboard import (
    Chorus,
    Compressor,
    Delay,
    Distortion,
    Gain,
    HighpassFilter,
    HighShelfFilter,
    LowpassFilter,
    LowShelfFilter,
    PeakFilter,
    Pedalboard,
    Phaser,
    Reverb,
)

from instruments import RATE


def amplifier(random, drive_db):
    """A guitar amplifier with its cabinet."""
    return [
        HighpassFilter(random.uniform(70, 160)),
        PeakFilter(random.uniform(500, 1500), random.uniform(-3, 6), 0.7),
        Distortion(drive_db),
        LowpassFilter(random.uniform(3500, 6500)),
        LowpassFilter(random.uniform(4500, 7500)),
        HighpassFilter(random.uniform(60, 110)),
        PeakFilter(random.uniform(1800, 3500), random.uniform(0, 6), 0.8),
        PeakFilter(random.uniform(300, 700), random.uniform(-6, 2), 0.8),
    ]


def room(random, most=0.35):
    """A reverb, short or long."""
    wet = random.uniform(0, most) ** 1.5
    return [Reverb(room_size=random.uniform(0.05, 0.9), damping=random.random(), wet_level=wet, dry_level=1 - wet)]


def tone(random):
    """A shelf at each end."""
    return [
        LowShelfFilter(random.uniform(80, 300), random.uniform(-4, 4)),
        HighShelfFilter(random.uniform(2500, 8000), random.uniform(-5, 5)),
    ]


def compressor(random):
    """Gentle to hard."""
    return [
        Compressor(random.uniform(-30, -12), random.uniform(1.5, 8), random.uniform(1, 25), random.uniform(40, 300))
    ]


def chain(kind, random):
    """The effects for one part."""
    if kind == "distorted":
        return amplifier(random, random.uniform(18, 42)) + room(random, 0.2)
    if kind == "electric":
        effects = amplifier(random, random.uniform(0, 14)) + compressor(random)
        effects += [Chorus(random.uniform(0.4, 2), random.uniform(0.1, 0.3))] if random.random() < 0.4 else []
        effects += [Phaser(random.uniform(0.2, 1))] if random.random() < 0.1 else []
        effects += [Delay(random.uniform(0.15, 0.5), 0.3, random.uniform(0.1, 0.3))] if random.random() < 0.25 else []
        return effects + room(random)
    if kind == "bass":
        effects = compressor(random)
        if random.random() < 0.35:
            effects += [Distortion(random.uniform(4, 22)), LowpassFilter(random.uniform(2000, 5000))]
        return [*effects, LowpassFilter(random.uniform(2500, 9000)), *tone(random)]
    if kind == "voice":
        effects = [HighpassFilter(random.uniform(80, 180)), *compressor(random), *tone(random)]
        effects += [Delay(random.uniform(0.2, 0.5), 0.2, random.uniform(0.05, 0.25))] if random.random() < 0.3 else []
        return effects + room(random, 0.4)
    if kind == "drums":
        effects = tone(random) + (compressor(random) if random.random() < 0.7 else [])
        effects += [Distortion(random.uniform(1, 10))] if random.random() < 0.15 else []
        return effects + room(random, 0.25)
    return tone(random) + (compressor(random) if random.random() < 0.5 else []) + room(random)


def through(effects, samples):
    """(2, samples) played through ``effects``, from and to a sensible level."""
    peak = max(float(np.abs(samples).max(initial=0)), 1e-6)
    return Pedalboard([Gain(-6), *effects])(samples / peak, RATE)
