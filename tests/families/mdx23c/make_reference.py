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
from tests.families.segments import mixture, mixtures, separated


def built(configuration):
    sections = {key: SimpleNamespace(**section) for key, section in configuration.items()}
    sections["model"].norm = sections["model"].norm or ""
    network = TFC_TDF_net(SimpleNamespace(**sections))
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    weights = {name: torch.from_numpy(array) for name, array in random_weights(shapes).items()}
    missing = network.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys)
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
    torch.set_num_threads(1)
    stored = {}
    for case, configuration in CASES.items():
        network, shapes = built(configuration)
        stored[f"{case}/names"] = np.array(sorted(f"{name} {shape}" for name, shape in shapes.items()))
        stored[f"{case}/spectra"] = spectra_of(network, mixture(SEGMENT)).ravel()[::EVERY]
        training = configuration["training"]
        n_stems = 1 if training["target_instrument"] else len(training["instruments"])
        for name, mix in mixtures(SEGMENT).items():
            stems = separated(network, configuration, mix, n_stems)
            stored[f"{case}/{name}"] = stems[..., ::EVERY].astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **stored)


if __name__ == "__main__":
    main()
