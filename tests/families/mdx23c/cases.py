"""Small MDX23Cs with random weights, for the reference and for ours alike; needs NumPy alone."""

import numpy as np

SEGMENT = 3968  # 31 hops: 32 frames
EVERY = 23  # of the reference's outputs, every twenty-third number is stored


def configuration(stems, overlap=2, target=None, normalize=False, dim_f=256, **model):
    sizes = {"num_channels": 8, "growth": 4, "num_scales": 2, "num_blocks_per_scale": 2, "num_subbands": 4}
    kinds = {"act": "gelu", "norm": "InstanceNorm", "bottleneck_factor": 4, "scale": [2, 2]}
    frames = {"n_fft": 512, "hop_length": 128, "dim_f": dim_f, "dim_t": 32}
    return {
        "audio": {"chunk_size": SEGMENT, "sample_rate": 44100, "num_channels": 2, **frames},
        "model": {**sizes, **kinds, **model},
        "training": {"instruments": list(stems), "target_instrument": target},
        "inference": {"num_overlap": overlap, "batch_size": 1, "normalize": normalize},
    }


CASES = {
    "two": configuration(["Vocals", "Instrumental"], overlap=4),
    "drums": configuration(["kick", "snare", "toms", "hh", "ride", "crash"], growth=8, norm="GroupNorm4", act="relu"),
    "target": configuration(["dry", "No dry"], target="dry", norm="BatchNorm", act="elu0.7", normalize=True),
    "uneven": configuration(
        ["similarity", "difference"], dim_f=192, num_subbands=2, scale=[4, 2], bottleneck_factor=2, norm=None, overlap=3
    ),
}


def random_weights(shapes, seed=0):
    """Every array random, of a size that lets each part matter; the same in every version of NumPy."""
    chance = np.random.RandomState(seed)
    weights = {}
    for name in sorted(shapes):
        shape = shapes[name]
        values = chance.standard_normal(shape)
        if name.endswith("running_var"):
            values = 0.3 + np.abs(values)
        elif len(shape) == 1:
            values = (1 if name.endswith("weight") else 0) + 0.3 * values
        elif len(shape) > 1:
            values *= 1.2 / np.sqrt(np.prod(shape[1:]))
        weights[name] = values.astype(np.float32)
    return weights
