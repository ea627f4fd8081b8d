"""Small HDemucs networks of which every parameter is random, and the tracks that they are tried on.

Used by the tests and by `make_references`; whatever changes here needs new references.
"""

import numpy as np

from tests.families.htdemucs import small
from unweave.families.hdemucs.spec import HDemucsSpec

# The published network in small, with stretches of recurrence in both of its deepest layers; one trained by the old
# rule, with branches of different width, without layers behind the merge; one that differs wherever it may.
SPECS = {
    "four": HDemucsSpec(
        segment_samples=7000, n_fft=64, channels=8, channels_time=8, depth=3, norm_starts=1, dconv_attn=1, dconv_lstm=1
    ),
    "old": HDemucsSpec(
        segment_samples=3200, n_fft=64, channels=8, channels_time=12, depth=2, norm_starts=2, dconv_mode=3,
        dconv_depth=1, dconv_attn=2, dconv_lstm=1, zero_borders=True,
    ),
    "odd": HDemucsSpec(
        stems=("kick", "rest"), sample_rate=16000, segment_samples=3333, audio_channels=1, n_fft=64, channels=8,
        channels_time=16, depth=6, kernel_size=4, stride=2, time_stride=4, context=0, context_enc=1, freq_emb=0.0,
        norm_starts=0, norm_groups=2, dconv_mode=2, dconv_comp=2, dconv_attn=3, dconv_lstm=5,
    ),
}  # fmt: skip
SEGMENT = SPECS["four"].segment_samples
HOP = SEGMENT * 3 // 4
# Lengths of tracks in samples: what each is, for the recipe's tests.
TRACKS = {
    "a few samples": 21,
    "a tenth of a segment": SEGMENT // 10,
    "odd, below a segment": SEGMENT - 1357,
    "a segment": SEGMENT,
    "a segment and one sample": SEGMENT + 1,
    "segments without a tail": SEGMENT + 2 * HOP,
    "a multiple of the hop": 3 * HOP,
    "a short tail": 3 * HOP + 77,
    "a long tail": 3 * HOP + HOP - 5,
}
SPECIAL = ("mono", "silence", "mostly silence", "quiet", "one channel silent")
KINDS = (*TRACKS, *SPECIAL)
EVERY = 17  # so many values are skipped where references are stored


def random_weights(spec: HDemucsSpec, seed: int = 0) -> dict[str, np.ndarray]:
    """Every tensor of ``spec``, random, at levels that keep signals from fading or growing."""
    random = np.random.RandomState(seed)  # whose numbers never change, unlike those of a Generator
    weights = {}
    for name, shape in spec.shapes().items():
        values = random.standard_normal(shape)
        if len(shape) > 1:
            values *= np.prod(shape[1:]) ** -0.5 * (1.5 if "lstm" in name or "query" in name or "key" in name else 1)
        elif name.endswith(".weight"):  # of a norm
            values = 1 + 0.4 * values
        elif name.endswith("scale"):
            values = 0.4 + 0.3 * values
        elif name.endswith("query_decay.bias"):  # from far to near
            values -= 3
        else:
            values *= 0.2
        weights[name] = values.astype(np.float32)
    return weights


def track(kind: str) -> np.ndarray:
    """The mixtures that the whole recipe is tried on."""
    if kind in TRACKS:
        return small.signal(TRACKS[kind], seed=list(TRACKS).index(kind))
    return small.special(kind, small.signal(HOP + 500, seed=50))
