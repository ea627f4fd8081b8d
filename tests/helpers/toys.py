"""Models of the official layout at a toy size: random weights, small spectra."""

import dataclasses
import json

import numpy as np

from tests.helpers.bundles import write_bundle
from unweave.models.spec import MaskModelSpec
from unweave.models.spleeter_json import write_spleeter_json

TOY = MaskModelSpec(
    name="toy",
    weights="toy",
    stems=("vocals", "accompaniment"),
    n_filters=(2, 3, 2, 3, 2, 4),
    n_fft=256,
    hop_length=64,
    n_bins=64,
    n_frames=64,
)
TOY_FOUR = dataclasses.replace(
    TOY, stems=("vocals", "drums", "bass", "other"), encoder_activation="elu", decoder_activation="elu"
)
TOY_FIVE = dataclasses.replace(TOY_FOUR, stems=("vocals", "piano", "drums", "bass", "other"), head="softmax")


def suffixed(base, index):
    return base if index == 0 else f"{base}_{index}"


def random_variables(spec, seed=0):
    """All variables of a checkpoint of ``spec``, by TensorFlow's names."""
    random = np.random.default_rng(seed)
    variables = {"global_step": np.array(1000, np.int64)}

    def convolution(name, *shape):
        fan_in = shape[0] * shape[1] * shape[3 if "transpose" in name else 2]
        variables[f"{name}/kernel"] = (random.standard_normal(shape) * (2 / fan_in) ** 0.5).astype(np.float32)
        n_outputs = shape[2 if "transpose" in name else 3]
        variables[f"{name}/bias"] = (0.1 * random.standard_normal(n_outputs)).astype(np.float32)

    def norm(name, n_features):
        for part, low, high in (
            ("gamma", 0.5, 1.5),
            ("beta", -0.2, 0.2),
            ("moving_mean", -0.1, 0.1),
            ("moving_variance", 0.8, 1.2),
        ):
            variables[f"{name}/{part}"] = random.uniform(low, high, n_features).astype(np.float32)

    widths = (2, *spec.n_filters)
    for stem in range(len(spec.stems)):
        for layer in range(6):
            convolution(suffixed("conv2d", 7 * stem + layer), 5, 5, widths[layer], widths[layer + 1])
            norm(suffixed("batch_normalization", 12 * stem + layer), widths[layer + 1])
        convolution(suffixed("conv2d", 7 * stem + 6), 4, 4, 1, 2)
        n_inputs = spec.n_filters[-1]
        for layer, n_outputs in enumerate((*reversed(spec.n_filters[:-1]), 1)):
            convolution(suffixed("conv2d_transpose", 6 * stem + layer), 5, 5, n_outputs, n_inputs)
            norm(suffixed("batch_normalization", 12 * stem + 6 + layer), n_outputs)
            n_inputs = 2 * n_outputs
    return variables


def write_toy(folder, spec=TOY, seed=0):
    """Write a checkpoint and its JSON into ``folder``; returns the JSON's path."""
    checkpoint = folder / "weights"
    write_bundle(checkpoint / "model", random_variables(spec, seed))
    path = folder / f"{spec.name}.json"
    path.write_text(write_spleeter_json(spec, str(checkpoint)))
    return path


def edit_json(path, **changes):
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path
