"""The published sizes with random weights, the graph against the twin in PyTorch: what small networks may not show."""

import dataclasses

import pytest

from tests.families.demucs.checks import Graph, equal_each_other, inputs, outputs_of_twin
from tests.families.htdemucs.small import random_weights
from unweave.families.htdemucs.graph import build_graph
from unweave.families.htdemucs.spec import HTDemucsSpec

FOUR = HTDemucsSpec()
SIX = dataclasses.replace(FOUR, stems=(*FOUR.stems, "guitar", "piano"), bottom_channels=0)
TWO = dataclasses.replace(FOUR, stems=("vocals", "other"), segment_samples=11 * 44100)  # of the training repository


@pytest.mark.slow
@pytest.mark.parametrize("spec", [FOUR, SIX, TWO], ids=["htdemucs", "htdemucs_6s", "two stems, 11 s"])
def test_a_full_size_network(spec):
    pytest.importorskip("torch")
    from unweave.families.htdemucs.network import load_network

    weights = random_weights(spec)
    expected = outputs_of_twin(load_network(spec, weights), spec)
    equal_each_other(Graph(build_graph(spec, weights)).run(*inputs(spec)), expected, -100)
