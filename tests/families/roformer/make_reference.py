"""Make ``reference.npz``: what pymss-core computes for `cases`.

Run once, in a virtual environment of its own: ``pip install torch==2.13.0 pymss-core==0.1.14``, then
``python -m tests.families.roformer.make_reference``. The tests need neither.
"""

from pathlib import Path

import numpy as np
import torch
from pymss_core.modules import bs_roformer

from tests.families.references import lines_of, with_random_weights
from tests.families.roformer.cases import CASES, EVERY, mixture, mixtures, random_weights
from tests.families.segments import separated

SEGMENT = 4410


def built(kind, configuration):
    network = getattr(bs_roformer, kind)(**configuration["model"], flash_attn=True)
    return with_random_weights(network, random_weights)


def masks_of(network, mix):
    """The masks of one segment, (stems, bins · channels, frames, 2), averaged where bands overlap."""
    from pymss_core.modules.bs_roformer.common import stft_roformer

    with torch.no_grad():
        spectrum, context = stft_roformer(network, torch.from_numpy(mix)[None])
        ones = torch.view_as_real(torch.ones(spectrum.shape[:-1], dtype=torch.complex64))
        original = torch.view_as_complex
        # The masks are what is left when the spectrum they are multiplied with is one.
        replaced = []

        def as_complex(x):
            if not replaced and x.shape == spectrum.unsqueeze(1).shape:
                replaced.append(True)
                return original(ones.unsqueeze(1))
            return original(x)

        torch.view_as_complex = as_complex
        try:
            masked = network._mask_stft_repr(spectrum, context)
        finally:
            torch.view_as_complex = original
    return torch.view_as_real(masked)[0].numpy()


def main():
    stored = {}
    for case, (kind, configuration) in CASES.items():
        network, shapes = built(kind, configuration)
        stored[f"{case}/names"] = lines_of(shapes)
        n_stems = configuration["model"]["num_stems"]
        # (stems, bins · channels, frames, parts) → (stems, frames, bins · channels · parts)
        masks = masks_of(network, mixture(SEGMENT)).transpose(0, 2, 1, 3)
        stored[f"{case}/masks"] = masks.reshape(*masks.shape[:2], -1).ravel()[::EVERY]
        for name, mix in mixtures().items():
            stored[f"{case}/{name}"] = separated(network, configuration, mix, n_stems)[..., ::EVERY].astype(np.float32)
        if kind == "MelBandRoformer":
            stored[f"{case}/members"] = np.packbits(network.freqs_per_band.numpy())
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **stored)


if __name__ == "__main__":
    main()
