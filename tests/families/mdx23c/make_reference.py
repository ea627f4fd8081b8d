"""Make ``reference.npz``: what pymss-core computes for `cases`.

Run once, in a virtual environment of its own: ``pip install torch==2.13.0 pymss-core==0.1.14``, then
``python -m tests.families.mdx23c.make_reference``. The tests need neither.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from pymss_core.modules.mdx23c_tfc_tdf_v3 import TFC_TDF_net

from tests.families.mdx23c.cases import CASES, EVERY, SEGMENT, random_weights
from tests.families.references import lines_of, spectra_of, with_random_weights
from tests.families.segments import mixture, mixtures, separated


def built(configuration):
    sections = {key: SimpleNamespace(**section) for key, section in configuration.items()}
    sections["model"].norm = sections["model"].norm or ""
    return with_random_weights(TFC_TDF_net(SimpleNamespace(**sections)), random_weights)


def main():
    torch.set_num_threads(1)
    stored = {}
    for case, configuration in CASES.items():
        network, shapes = built(configuration)
        stored[f"{case}/names"] = lines_of(shapes)
        stored[f"{case}/spectra"] = spectra_of(network, mixture(SEGMENT)).ravel()[::EVERY]
        training = configuration["training"]
        n_stems = 1 if training["target_instrument"] else len(training["instruments"])
        for name, mix in mixtures(SEGMENT).items():
            stems = separated(network, configuration, mix, n_stems)
            stored[f"{case}/{name}"] = stems[..., ::EVERY].astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **stored)


if __name__ == "__main__":
    main()
