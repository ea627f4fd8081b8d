"""The published sizes with random weights, the graph against the twin in PyTorch: what small networks may not show."""

import dataclasses

import numpy as np
import pytest

from tests.families.htdemucs.small import random_weights, signal
from tests.families.htdemucs.test_network import Graph
from tests.helpers.signals import error_db
from unweave.dsp.real_parts import as_channels
from unweave.families.demucs.spectrum import spectrum_of
from unweave.families.htdemucs.spec import HTDemucsSpec

FOUR = HTDemucsSpec()
SIX = dataclasses.replace(FOUR, stems=(*FOUR.stems, "guitar", "piano"), bottom_channels=0)
TWO = dataclasses.replace(FOUR, stems=("vocals", "other"), segment_samples=11 * 44100)  # of the training repository


@pytest.mark.slow
@pytest.mark.parametrize("spec", [FOUR, SIX, TWO], ids=["htdemucs", "htdemucs_6s", "two stems, 11 s"])
def test_a_full_size_network(spec):
    torch = pytest.importorskip("torch")
    from unweave.families.htdemucs.network import load_network

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
        assert error_db(ours, theirs) < -100
