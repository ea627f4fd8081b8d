"""Small VR networks with random weights, for the reference and for ours alike; needs NumPy alone."""

import numpy as np

from tests.families.segments import mixture

EVERY = 47  # of the numbers that the reference gives, every so many is stored


def band(sr, hl, n_fft, crop_start, crop_stop, **given):
    return {"sr": sr, "hl": hl, "n_fft": n_fft, "crop_start": crop_start, "crop_stop": crop_stop, **given}


# A quarter of 4band_v3's bins and of 4band_v4_ms_fullband's, with ramps of all kinds.
THREE = {
    "bins": 128,
    "sr": 44100,
    "pre_filter_start": 120,
    "pre_filter_stop": 126,
    "band": {
        "1": band(11025, 40, 160, 0, 38, lpf_start=20, lpf_stop=36),
        "2": band(22050, 80, 128, 10, 50, hpf_start=22, hpf_stop=12, lpf_start=30, lpf_stop=48),
        "3": band(44100, 160, 160, 25, 75, hpf_start=40, hpf_stop=28),
    },
}
ONE = {
    "bins": 64,
    "sr": 32000,
    "pre_filter_start": 58,
    "pre_filter_stop": 63,
    "band": {"1": band(32000, 64, 128, 0, 64, hpf_start=-1, hpf_stop=-1)},
}


def mixed(spectrum, *modes):
    bands = {
        key: {**given, "convert_channels": mode} if mode else given
        for (key, given), mode in zip(spectrum["band"].items(), modes, strict=True)
    }
    return {**spectrum, "band": bands}


# Name: (version, number by which the reference tells its architectures, description of bands, stem)
CASES = {
    "five": ("5", 123821, THREE, "Instrumental"),
    "six": ("5", 129605, {**THREE, "mid_side": True}, "Vocals"),
    "seven": (
        "5",
        537238,
        {**ONE, "mid_side_b2": True, "aggr_correction": {"left": 0.1, "right": -0.05}},
        "Instrumental",
    ),
    "reverse": ("5", 123821, {**ONE, "reverse": True}, "Bass"),
    "new": ("5.1", 56817, THREE, "No Echo"),
    "new_mixed": ("5.1", 56817, mixed(THREE, "mid_side", "mid_side_c", "stereo_n"), "Vocals"),
}


# Published sizes: version, KiB of the file, name of the bands, channels (5) or channels and recurrent width (5.1).
PUBLISHED = [
    ("5", 31191, "1band_sr44100_hl512", 16),
    ("5", 33966, "4band_44100", 16),
    ("5", 123821, "4band_v2", 32),
    ("5", 129605, "3band_44100", 16),
    ("5", 537238, "2band_32000", 64),
    ("5.1", 17500, "1band_sr44100_hl1024", (16, 128)),
    ("5.1", 56817, "4band_v4_ms_fullband", (32, 128)),
    ("5.1", 124000, "4band_v3", (48, 128)),
    ("5.1", 218409, "4band_v3_sn", (64, 128)),
]


def random_weights(shapes, seed=0):
    """Every array random, of a size that lets each part matter."""
    chance = np.random.RandomState(seed)
    weights = {}
    for name in sorted(shapes):
        values = chance.standard_normal(shapes[name])
        if name.endswith("running_var") or (name.endswith("weight") and len(shapes[name]) == 1):
            values = 0.6 + 0.8 * chance.random_sample(shapes[name])
        elif name.endswith("weight") or "weight_" in name:
            values *= 1.3 / np.sqrt(np.prod(shapes[name][1:]))
        else:
            values *= 0.2
        weights[name] = values.astype(np.float32)
    return weights


def mixtures(hop, n_given):
    """By name: below a window of the network, windows and tails, mono, and silence."""
    window = hop * n_given
    broken = mixture(2 * window)
    broken[:, window // 2 : window] = 0
    return {
        "short": mixture(20 * hop),
        "window": mixture(window - hop),
        "tail": mixture(window + 7 * hop + hop // 3),
        "mono": np.repeat(mixture(window // 2)[:1], 2, axis=0),
        "silence_inside": broken,
    }
