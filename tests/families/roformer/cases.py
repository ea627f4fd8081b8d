"""Small RoFormers with random weights, for the reference and for ours alike; needs NumPy alone."""

import numpy as np

from tests.families.segments import mixture

SEGMENT = 4410
EVERY = 19  # of the reference's outputs, every nineteenth number is stored


def model(**given):
    sizes = {"dim": 16, "depth": 2, "heads": 2, "dim_head": 8, "stereo": True, "mlp_expansion_factor": 1}
    steps = {"time_transformer_depth": 1, "freq_transformer_depth": 1, "stft_hop_length": 441}
    return {**sizes, **steps, **given}


def configuration(model, stems, overlap=2, target=None, normalize=False):
    return {
        "audio": {"chunk_size": SEGMENT, "sample_rate": 44100, "num_channels": 2},
        "model": model,
        "training": {"instruments": list(stems), "target_instrument": target},
        "inference": {"num_overlap": overlap, "batch_size": 1, "normalize": normalize},
    }


# Name: (class in the reference, configuration)
CASES = {
    "bs": ("BSRoformer", configuration(model(num_stems=2, zero_dc=True), ["vocals", "other"])),
    "bs_four": (
        "BSRoformer",
        configuration(
            model(
                num_stems=4,
                zero_dc=False,
                time_transformer_depth=2,
                skip_connection=True,
                mask_estimator_depth=1,
                stft_hop_length=512,
                stft_normalized=True,
                depth=3,
            ),
            ["drums", "bass", "other", "vocals"],
            overlap=4,
        ),
    ),
    "mel": (
        "MelBandRoformer",
        configuration(
            model(num_stems=1, num_bands=60, mask_estimator_depth=2, match_input_audio_length=True),
            ["vocals", "other"],
            target="vocals",
        ),
    ),
    "mel_two": (
        "MelBandRoformer",
        configuration(
            model(
                num_stems=2,
                num_bands=48,
                mask_estimator_depth=3,
                freq_transformer_depth=2,
                stft_hop_length=512,
                stft_n_fft=4096,
                stft_win_length=4096,
                match_input_audio_length=True,
                zero_dc=False,
                mlp_expansion_factor=2,
            ),
            ["Vocals", "Instrumental"],
            overlap=3,
            normalize=True,
        ),
    ),
}


def random_weights(shapes, seed=0):
    """Every array random, of a size that lets each part matter; the same in every version of NumPy."""
    chance = np.random.RandomState(seed)
    weights = {}
    for name in sorted(shapes):
        values = chance.standard_normal(shapes[name])
        if name.endswith("gamma"):
            values = 1 + 0.3 * values
        elif name.endswith("freqs"):  # one array for all layers over time and one for all over bands
            values = np.abs(np.random.RandomState(int(name.split(".")[2])).standard_normal(shapes[name]))
        elif name.endswith("weight"):
            values *= 1.5 / np.sqrt(shapes[name][-1])
        weights[name] = values.astype(np.float32)
    return weights


def mixtures():
    half = mixture(3 * SEGMENT)
    half[:, SEGMENT : 2 * SEGMENT + 500] = 0
    mono = mixture(2 * SEGMENT + 100)
    return {
        "short": mixture(1800),
        "one": mixture(SEGMENT - 1),
        "exact": mixture(3 * SEGMENT),
        "short_tail": mixture(3 * SEGMENT + 300),
        "long_tail": mixture(3 * SEGMENT + 2000),
        "mono": np.stack([mono[0], mono[0]]),
        "silence_inside": half,
        "silence": np.zeros((2, 2 * SEGMENT), np.float32),
    }
