"""The published size with random weights, the graph against the twin in PyTorch: what small networks may not show."""

import dataclasses

import numpy as np
import pytest

from tests.families.hdemucs.small import random_weights
from tests.families.hdemucs.test_network import Graph
from tests.families.htdemucs.small import signal
from tests.helpers.signals import error_db
from unweave.dsp.real_parts import as_channels
from unweave.families.demucs.spectrum import spectrum_of
from unweave.families.hdemucs.spec import HDemucsSpec

# Seconds of a segment, and how near two computations in single precision have to come: 5 seconds came to -119 dB, the
# published 44 to -91. Which of the two is less exact over 44 seconds has not been found out.
LENGTHS = {5: -100, 44: -85}


@pytest.mark.slow
@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_full_size_network(seconds):
    torch = pytest.importorskip("torch")
    from unweave.families.hdemucs.network import load_network

    spec = dataclasses.replace(HDemucsSpec(), segment_samples=seconds * 44100)
    weights = random_weights(spec)
    mixture = signal(spec.segment_samples)
    spectrum = as_channels(spectrum_of(mixture, spec))
    network = load_network(spec, weights)
    with torch.inference_mode():
        expected = [array.numpy()[0] for array in network(*(torch.from_numpy(a)[None] for a in (mixture, spectrum)))]
    del network
    for ours, theirs in zip(Graph(spec, weights).run(mixture, spectrum), expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(theirs).max() > 1e-3
        assert error_db(ours, theirs) < LENGTHS[seconds]
