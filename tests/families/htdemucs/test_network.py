"""The graph, and its twin in PyTorch, against what the package demucs computes (see `make_references`)."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.families.htdemucs.small import EVERY, KINDS, SPECS, random_weights, signal, track
from tests.helpers.signals import error_db
from unweave.families.htdemucs.graph import MIXTURE, SPECTRUM, build_graph
from unweave.families.htdemucs.recipe import as_channels, separate_track, spectrum_of

REFERENCES = Path(__file__).with_name("references.npz")


@pytest.fixture(scope="module")
def references():
    return dict(np.load(REFERENCES))


class Graph:
    """A graph as a `HybridNetwork`."""

    def __init__(self, spec, weights, stems=None, fused=True):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = build_graph(spec, weights, stems, fused=fused)
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def run(self, mixture, spectrum):
        spectra, waveforms = self.session.run(None, {MIXTURE: mixture[None], SPECTRUM: spectrum[None]})
        return spectra[0], waveforms[0]


@pytest.fixture(scope="module")
def graphs():
    return {name: Graph(spec, random_weights(spec)) for name, spec in SPECS.items()}


def inputs(spec):
    mixture = signal(spec.segment_samples, spec.audio_channels)
    return mixture, as_channels(spectrum_of(mixture, spec))


@pytest.mark.parametrize("name", SPECS)
def test_the_graph_computes_what_demucs_computes(name, graphs, references):
    spectra, waveforms = graphs[name].run(*inputs(SPECS[name]))
    assert error_db(spectra.ravel()[::EVERY], references[f"{name}/spectra"]) < -100
    assert error_db(waveforms.ravel()[::EVERY], references[f"{name}/waveforms"]) < -100


@pytest.mark.parametrize("name", SPECS)
def test_the_twin_computes_what_demucs_computes(name, references):
    torch = pytest.importorskip("torch")
    from unweave.families.htdemucs.network import load_network

    spec = SPECS[name]
    network = load_network(spec, random_weights(spec))
    with torch.inference_mode():
        spectra, waveforms = network(*(torch.from_numpy(array)[None] for array in inputs(spec)))
    assert error_db(spectra.numpy().ravel()[::EVERY], references[f"{name}/spectra"]) < -100
    assert error_db(waveforms.numpy().ravel()[::EVERY], references[f"{name}/waveforms"]) < -100


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_recipe_is_that_of_demucs(kind, graphs, references):
    separated = separate_track(track(kind), SPECS["four"], graphs["four"])
    expected = references[f"recipe/{kind}"]
    assert separated.shape == (4, *track(kind).shape)
    if kind == "silence":
        assert not separated.any()
        assert not expected.any()
    else:
        assert error_db(separated.ravel()[::EVERY], expected) < -80
