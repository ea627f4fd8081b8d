"""Small HTDemucs networks of which every parameter is random, and the signals that they are tried on.

Used by the tests and by `make_references`; whatever changes here needs new references.
"""

import numpy as np

from unweave.families.htdemucs.spec import HTDemucsSpec

# A published network in small; one with six stems and no widening; one that differs wherever it may.
SPECS = {
    "four": HTDemucsSpec(
        segment_samples=3000, n_fft=256, channels=16, channels_time=16, depth=2, bottom_channels=32, t_heads=4
    ),
    "six": HTDemucsSpec(
        stems=("drums", "bass", "other", "vocals", "guitar", "piano"),
        segment_samples=2560,
        n_fft=256,
        channels=8,
        channels_time=8,
        depth=2,
        bottom_channels=0,
        t_layers=2,
        t_heads=2,
        dconv_comp=4,
    ),
    "odd": HTDemucsSpec(
        stems=("kick", "rest"),
        sample_rate=16000,
        segment_samples=3333,
        audio_channels=1,
        n_fft=512,
        channels=16,
        channels_time=16,
        depth=3,
        context_enc=1,
        context=0,
        freq_emb=0.0,
        dconv_mode=1,
        dconv_depth=1,
        bottom_channels=0,
        t_layers=3,
        t_heads=2,
        t_hidden_scale=2.0,
        t_max_period=3000.0,
        t_weight_pos_embed=0.7,
        t_cross_first=True,
        t_norm_in=False,
        t_norm_out=False,
        t_layer_scale=False,
        t_gelu=False,
    ),
}
SEGMENT = SPECS["four"].segment_samples
HOP = SEGMENT * 3 // 4
# Lengths of tracks in samples: what each is, for the recipe's tests.
TRACKS = {
    "a tenth of a segment": SEGMENT // 10,
    "odd, below a segment": SEGMENT - 1357,
    "a segment": SEGMENT,
    "a segment and one sample": SEGMENT + 1,
    "segments without a tail": SEGMENT + 2 * HOP,
    "a multiple of the hop": 3 * HOP,
    "a short tail": 3 * HOP + 77,
    "a long tail": 3 * HOP + HOP - 5,
}
EVERY = 7  # so many values are skipped where references are stored


def random_weights(spec: HTDemucsSpec, seed: int = 0) -> dict[str, np.ndarray]:
    """Every tensor of ``spec``, random, at levels that keep signals from fading or growing."""
    random = np.random.RandomState(seed)  # whose numbers never change, unlike those of a Generator
    weights = {}
    for name, shape in spec.shapes().items():
        values = random.standard_normal(shape)
        if len(shape) > 1:
            values *= (np.prod(shape[1:]) ** -0.5) * (1.5 if "attn" in name else 1)
        elif name.endswith(("norm1.weight", "norm2.weight", "norm3.weight", ".1.weight", ".4.weight")) or (
            "norm_" in name and name.endswith("weight")
        ):
            values = 1 + 0.4 * values
        elif name.endswith("scale"):
            values = 0.4 + 0.3 * values
        else:
            values *= 0.2
        weights[name] = values.astype(np.float32)
    return weights


def signal(n_samples: int, n_channels: int = 2, seed: int = 0) -> np.ndarray:
    """Tones, clicks, noise and a constant offset, louder and softer, (channels, samples)."""
    random = np.random.RandomState(1000 + seed)
    time = np.arange(n_samples) / 8000
    tones = sum(np.sin(2 * np.pi * f * time + random.uniform(0, 6)) / (i + 1) for i, f in enumerate((110, 233, 717)))
    channels = []
    for _ in range(n_channels):
        noise = 0.1 * random.standard_normal(n_samples)
        clicks = (random.uniform(size=n_samples) > 0.998) * random.standard_normal(n_samples)
        channels.append((0.3 * tones + noise + clicks) * (0.6 + 0.4 * np.sin(7 * time)) + 0.01)
    return np.array(channels).astype(np.float32)


def track(kind: str) -> np.ndarray:
    """The mixtures that the whole recipe is tried on: those of `TRACKS`, and some that are special."""
    if kind in TRACKS:
        return signal(TRACKS[kind], seed=list(TRACKS).index(kind))
    return special(kind, signal(2 * HOP + 500, seed=50))


def special(kind: str, mixture: np.ndarray) -> np.ndarray:
    """The mixture made into one that networks and recipes may stumble over."""
    if kind == "mono":
        mixture[1] = mixture[0]
    elif kind == "silence":
        mixture[:] = 0
    elif kind == "mostly silence":
        mixture[:, 700:] = 0
    elif kind == "quiet":
        mixture *= np.float32(1e-3)
    elif kind == "one channel silent":
        mixture[0] = 0
    else:
        raise KeyError(kind)
    return mixture


KINDS = (*TRACKS, "mono", "silence", "mostly silence", "quiet", "one channel silent")
