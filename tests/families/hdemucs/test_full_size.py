"""The published size with random weights, the graph against the twin in PyTorch: what small networks may not show."""

import dataclasses

import pytest

from tests.families.demucs.checks import Graph, equal_each_other, inputs, outputs_of_twin
from tests.families.hdemucs.small import random_weights
from unweave.families.hdemucs.graph import build_graph
from unweave.families.hdemucs.spec import HDemucsSpec

# Seconds of a segment, and how near two computations in single precision have to come: 5 seconds came to -119 dB. The
# published 44 came to -91 while the graph took each mean in one step, and have not been measured since.
LENGTHS = {5: -100, 44: -85}


@pytest.mark.slow
@pytest.mark.parametrize("seconds", LENGTHS)
def test_a_full_size_network(seconds):
    pytest.importorskip("torch")
    from unweave.families.hdemucs.network import load_network

    spec = dataclasses.replace(HDemucsSpec(), segment_samples=seconds * 44100)
    weights = random_weights(spec)
    expected = outputs_of_twin(load_network(spec, weights), spec)
    equal_each_other(Graph(build_graph(spec, weights)).run(*inputs(spec)), expected, LENGTHS[seconds])
