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

from tests.families.scnet.cases import CASES, EVERY, SEGMENT, random_weights
from tests.families.segments import mixture, mixtures, separated


def built(case, configuration):
    kind = importlib.import_module("models.scnet.scnet_masked").SCNet if case.startswith("masked") else SCNet
    network = kind(**configuration["model"])
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    weights = random_weights(shapes)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=True)
    return network.eval(), shapes


def spectra_of(network, mix):
    """What the network gives its inverse transform, (stems · channels, bins, frames), complex."""
    caught, original = [], torch.istft

    def catch(spectrum, *given, **options):
        caught.append(spectrum)
        return original(spectrum, *given, **options)

    torch.istft = catch
    try:
        with torch.no_grad():
            network(torch.from_numpy(mix)[None])
    finally:
        torch.istft = original
    return caught[0].numpy()


def main():
    sys.path.append(sys.argv[1])
    torch.set_num_threads(1)
    stored = {}
    for case, configuration in CASES.items():
        network, shapes = built(case, configuration)
        stored[f"{case}/names"] = np.array(sorted(f"{name} {shape}" for name, shape in shapes.items()))
        stored[f"{case}/spectra"] = spectra_of(network, mixture(SEGMENT)).ravel()[::EVERY]
        n_stems = len(configuration["model"]["sources"])
        for name, mix in mixtures(SEGMENT).items():
            stems = separated(network, configuration, mix, n_stems)
            stored[f"{case}/{name}"] = stems[..., ::EVERY].astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **stored)


if __name__ == "__main__":
    main()
