"""Small Open-Unmix networks with random weights, for the reference and for ours alike; needs NumPy alone."""

import numpy as np

from tests.families.segments import mixture

EVERY = 17  # of the numbers that the reference gives, every so many is stored

# Name: (stems, sizes of the reference's networks, what its Separator is told)
CASES = {
    "four": (
        ("vocals", "drums", "bass", "other"),
        {"nb_bins": 257, "nb_channels": 2, "hidden_size": 16, "max_bin": 200},
        {"n_fft": 512, "n_hop": 128, "niter": 1},
    ),
    "usual": (
        ("vocals", "other"),
        {"nb_bins": 2049, "nb_channels": 2, "hidden_size": 8, "max_bin": 1487},
        {"n_fft": 4096, "n_hop": 1024, "niter": 2},
    ),
    "speech": (
        ("speech", "noise"),
        {"nb_bins": 513, "nb_channels": 1, "hidden_size": 8, "max_bin": None},
        {"n_fft": 1024, "n_hop": 512, "niter": 1, "sample_rate": 16000.0},
    ),
    "causal": (
        ("drums",),
        {"nb_bins": 257, "nb_channels": 2, "hidden_size": 12, "max_bin": 101, "unidirectional": True, "nb_layers": 2},
        {"n_fft": 512, "n_hop": 100, "niter": 0},
    ),
}


def random_weights(shapes, seed):
    """Every array random, of a size that lets each part matter."""
    chance = np.random.RandomState(seed)
    weights = {}
    for name in sorted(shapes):
        values = chance.standard_normal(shapes[name])
        if name.endswith(("running_var", "scale", "bn1.weight", "bn2.weight", "bn3.weight")):
            values = 0.5 + chance.random_sample(shapes[name])
        elif name.endswith("weight") or "weight_" in name:
            values *= 1.5 / np.sqrt(shapes[name][-1])
        else:
            values *= 0.4
        weights[name] = values.astype(np.float32)
    return weights


def mixtures(n_fft, hop):
    """By name: short, one window of the filter and more, whole hops and tails, loud, mono, and silence."""
    window = 300 * hop
    quiet = mixture(2 * n_fft + 3 * hop)
    quiet[:, n_fft : 2 * n_fft] = 0
    return {
        "short": mixture(n_fft - 1),
        "hops": mixture(2 * n_fft),
        "tail": mixture(2 * n_fft + hop // 3),
        "windows": mixture(window + n_fft + 5) if n_fft < 4096 else mixture(5 * n_fft),
        "loud": 30 * mixture(2 * n_fft + 11),
        "mono": np.repeat(mixture(2 * n_fft + 50)[:1], 2, axis=0),
        "one_side": mixture(2 * n_fft) * np.array([[1], [0]], np.float32),
        "silence_inside": quiet,
        "silence": np.zeros((2, 2 * n_fft), np.float32),
    }
