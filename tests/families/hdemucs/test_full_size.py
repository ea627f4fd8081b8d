"""The published size with random weights, the graph against the twin in PyTorch: what small networks may not show."""

import numpy as np
import pytest

from tests.families.hdemucs.small import random_weights
from tests.families.hdemucs.test_network import Graph
from tests.families.htdemucs.small import signal
from tests.helpers.signals import error_db
from unweave.dsp.real_parts import as_channels
from unweave.families.demucs.spectrum import spectrum_of
from unweave.families.hdemucs.spec import HDemucsSpec

SPEC = HDemucsSpec()


@pytest.mark.slow
def test_a_full_size_network():
    torch = pytest.importorskip("torch")
    from unweave.families.hdemucs.network import load_network

    weights = random_weights(SPEC)
    mixture = signal(SPEC.segment_samples)
    spectrum = as_channels(spectrum_of(mixture, SPEC))
    network = load_network(SPEC, weights)
    with torch.inference_mode():
        expected = [array.numpy()[0] for array in network(*(torch.from_numpy(a)[None] for a in (mixture, spectrum)))]
    del network
    for ours, theirs in zip(Graph(SPEC, weights).run(mixture, spectrum), expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(theirs).max() > 1e-3
        assert error_db(ours, theirs) < -100
