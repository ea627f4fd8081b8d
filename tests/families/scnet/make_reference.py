"""Make ``reference.npz``: what pymss-core, and for masked networks their own code, compute for `cases`.

Run once, in a virtual environment of its own: ``pip install torch==2.13.0 pymss-core==0.1.14``, then
``python -m tests.families.scnet.make_reference CHECKOUT``, where CHECKOUT is ZFTurbo's
Music-Source-Separation-Training (the figures are from commit ccc011a). The tests need neither.
"""

import importlib
import sys
from pathlib import Path

import numpy as np
import torch
from pymss_core.modules.scnet import SCNet

from tests.families.references import lines_of, spectra_of, with_random_weights
from tests.families.scnet.cases import CASES, EVERY, SEGMENT, random_weights
from tests.families.segments import mixture, mixtures, separated


def built(case, configuration):
    kind = importlib.import_module("models.scnet.scnet_masked").SCNet if case.startswith("masked") else SCNet
    return with_random_weights(kind(**configuration["model"]), random_weights)


def main():
    sys.path.append(sys.argv[1])
    torch.set_num_threads(1)
    stored = {}
    for case, configuration in CASES.items():
        network, shapes = built(case, configuration)
        stored[f"{case}/names"] = lines_of(shapes)
        stored[f"{case}/spectra"] = spectra_of(network, mixture(SEGMENT)).ravel()[::EVERY]
        n_stems = len(configuration["model"]["sources"])
        for name, mix in mixtures(SEGMENT).items():
            stems = separated(network, configuration, mix, n_stems)
            stored[f"{case}/{name}"] = stems[..., ::EVERY].astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **stored)


if __name__ == "__main__":
    main()
