"""Small SCNets with random weights, for the reference and for ours alike; needs NumPy alone."""

import numpy as np

SEGMENT = 6000
EVERY = 37  # of the reference's outputs, every thirty-seventh number is stored


def model(**given):
    bands = {"band_SR": [0.175, 0.392, 0.433], "band_stride": [1, 4, 16], "band_kernel": [3, 4, 16]}
    sizes = {"dims": [4, 8, 12, 16], "nfft": 1024, "hop_size": 256, "win_size": 1024, "normalized": True}
    return {**bands, **sizes, "num_dplayer": 4, "audio_channels": 2, **given}


def configuration(model, stems, overlap=2, target=None, normalize=False):
    return {
        "audio": {"chunk_size": SEGMENT, "sample_rate": 44100, "num_channels": 2},
        "model": {"sources": [target] if target else list(stems), **model},
        "training": {"instruments": list(stems), "target_instrument": target},
        "inference": {"num_overlap": overlap, "batch_size": 1, "normalize": normalize},
    }


FOUR = ["drums", "bass", "other", "vocals"]
IHF = {"band_SR": [0.23, 0.37, 0.4], "band_stride": [1, 4, 4], "band_kernel": [3, 4, 4], "conv_depths": [3, 3, 3]}
# Name: configuration; those called masked are of the class in scnet_masked.py
CASES = {
    "small": configuration(model(), FOUR, overlap=4, normalize=True),
    "wide": configuration(model(**IHF, num_dplayer=2), FOUR),
    "odd": configuration(
        model(
            dims=[4, 6, 9],
            band_SR=[0.3, 0.25, 0.45],
            band_stride=[1, 2, 4],
            band_kernel=[4, 4, 4],
            conv_depths=[1, 0, 2],
            compress=3,
            conv_kernel=5,
            num_dplayer=2,
            expand=2,
            normalized=False,
            hop_size=300,
        ),
        ["center", "wide"],
        overlap=3,
    ),
    "target": configuration(model(num_dplayer=2), ["similarity", "difference"], target="difference"),
    "masked": configuration(model(num_dplayer=2), FOUR),
    "masked_wide": configuration(model(**IHF, num_dplayer=2), ["vocals", "other"], overlap=1, normalize=True),
}


def random_weights(shapes, seed=0):
    """Every array random, of a size that lets each part matter; the same in every version of NumPy."""
    chance = np.random.RandomState(seed)
    weights = {}
    for name in sorted(shapes):
        shape = shapes[name]
        values = chance.standard_normal(shape)
        if len(shape) == 1 and name.endswith("weight"):  # the gain of a norm
            values = 1 + 0.3 * values
        elif len(shape) == 1:
            values *= 0.3
        elif name != "pos_embed_f":
            values *= 1.2 / np.sqrt(np.prod(shape[1:]))
        weights[name] = values.astype(np.float32)
    return weights
