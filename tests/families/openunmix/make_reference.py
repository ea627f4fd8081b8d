"""Make ``reference.npz``: what the package openunmix computes for `cases`, in double precision.

Its filter inverts matrices that are nearly singular where both channels are alike, and in single precision it gives
rounding errors there. One fault is taken out: its ``atan2`` adds one to the mixture in place where that is zero, so
that a channel that is silent for a while clicks.

Run once, in a virtual environment of its own: ``pip install torch==2.13.0``, ``pip install --no-deps openunmix==1.3.0``
(it resamples by torchaudio, which is not needed), then ``python -m tests.families.openunmix.make_reference``.
"""

import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from tests.families.openunmix.cases import CASES, EVERY, mixture, mixtures, random_weights
from tests.families.references import lines_of, with_random_weights

sys.modules["torchaudio"] = ModuleType("torchaudio")

from openunmix import filtering  # noqa: E402
from openunmix.model import OpenUnmix, Separator  # noqa: E402

_atan2 = filtering.atan2
filtering.atan2 = lambda y, x: _atan2(y, x.clone())


def main():
    stored = {}
    for case, (stems, sizes, settings) in CASES.items():
        networks = {}
        for seed, stem in enumerate(stems):
            networks[stem], shapes = with_random_weights(OpenUnmix(**sizes), partial(random_weights, seed=seed))
        stored[f"{case}/names"] = lines_of(shapes)
        separator = Separator(networks, nb_channels=sizes["nb_channels"], **settings).double()
        separator.freeze()
        with torch.no_grad():
            magnitudes = separator.complexnorm(separator.stft(torch.from_numpy(mixture(9000)).double()[None]))
            estimates = [separator.target_models[stem](magnitudes)[0].permute(2, 0, 1).numpy() for stem in stems]
            stored[f"{case}/network"] = np.stack(estimates).ravel()[::EVERY].astype(np.float32)
            for name, mix in mixtures(settings["n_fft"], settings["n_hop"]).items():
                estimates = separator(torch.from_numpy(mix).double()[None])[0].numpy()
                assert np.isfinite(estimates).all()
                stored[f"{case}/{name}"] = estimates[..., ::EVERY].astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **stored)


if __name__ == "__main__":
    main()
