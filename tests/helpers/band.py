"""A little music with true stems, on disk, and a plan to train a small network on it."""

import dataclasses

import numpy as np

from unweave import AudioWriter
from unweave.audio.formats import find_format
from unweave.training.plan import AugmentationPlan, DataPlan, LoopPlan, ModelPlan, Plan, SourcePlan

RATE = 8000
STEMS = ("vocals", "drums", "bass")


def stems(seed, seconds=8.0):
    """A gliding voice, beats of noise and a low line, different for each seed: stem → (2, samples)."""
    random = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    pitch = 300 * 2 ** (0.5 * np.sin(2 * np.pi * random.uniform(0.2, 0.5) * t + random.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 6)) * (np.sin(2 * np.pi * 0.3 * t + seed) > -0.5)
    beat = np.mod(t, random.uniform(0.2, 0.4))
    drums = random.standard_normal(len(t)) * np.exp(-beat * 40)
    note = np.repeat(random.choice([55, 62, 73, 82, 98], 64), -(-len(t) // 64))[: len(t)]
    bass = np.sin(2 * np.pi * np.cumsum(note) / RATE)
    parts = {"vocals": 0.1 * voice, "drums": 0.2 * drums, "bass": 0.2 * bass}
    pan = {stem: random.uniform(0.6, 1, (2, 1)) for stem in parts}
    return {stem: (pan[stem] * part).astype(np.float32) for stem, part in parts.items()}


def write_wav(path, waveform, sample_rate=RATE):
    """Write (channels, samples) as 32-bit float."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"sample_rate": sample_rate, "n_channels": len(waveform), "bit_depth": "32f"}
    with AudioWriter(path, find_format("wav"), **options) as writer:
        writer.write(waveform)
        writer.finish()
        writer.commit()


def write_tracks(folder, n_tracks=4, seconds=8.0):
    """A folder per track, a file per stem."""
    for number in range(n_tracks):
        for stem, waveform in stems(number, seconds).items():
            write_wav(folder / f"song {number}" / f"{stem}.wav", waveform)
    return folder


def small_plan(tmp_path, tracks, **loop):
    """A network of a few thousand weights, on float32 and two seconds of music at a time."""
    defaults = {
        "steps": 6,
        "batch_size": 4,
        "warm_up_steps": 2,
        "precision": "no",
        "validate_every_steps": 3,
        "log_every_steps": 1,
        "learning_rate": 3e-3,
    }
    return Plan(
        data=DataPlan(
            sources=(SourcePlan(tracks, licence="CC0-1.0"),),
            held_out=("song 0",),
            cache=tmp_path / "cache",
            segment_frames=32,
            validation_segments=2,
        ),
        output=tmp_path / "trained",
        model=ModelPlan(
            stems=STEMS, widths=(8, 16), n_fft=512, hop_length=128, n_bins=256, n_frames=64, sample_rate=RATE
        ),
        augmentation=AugmentationPlan(remix=0.5),
        training=LoopPlan(**{**defaults, **loop}),
    )


def changed(plan, section, **values):
    """``plan`` with other values in one of its sections."""
    return dataclasses.replace(plan, **{section: dataclasses.replace(getattr(plan, section), **values)})
