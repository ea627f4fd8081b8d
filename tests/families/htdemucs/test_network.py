"""The graph, and its twin in PyTorch, against what the package demucs computes (see `make_references`)."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.families.htdemucs.small import EVERY, KINDS, SPECS, random_weights, signal, track
from tests.helpers.signals import error_db
from unweave.dsp.real_parts import as_channels
from unweave.errors import CheckpointError
from unweave.families.demucs.graph import MIXTURE, SPECTRUM
from unweave.families.demucs.spectrum import spectrum_of
from unweave.families.htdemucs.graph import build_graph
from unweave.families.htdemucs.recipe import separate_track

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


def test_the_recipe_for_some_stems_only(graphs):
    mixture = track("a short tail")
    whole = separate_track(mixture, SPECS["four"], graphs["four"])
    some = separate_track(mixture, SPECS["four"], graphs["four"], stems=[3, 1])
    np.testing.assert_array_equal(some, whole[[3, 1]])


@pytest.mark.parametrize("name", SPECS)
def test_a_graph_of_standard_operators_computes_the_same(name, graphs):
    spec = SPECS[name]
    plain = build_graph(spec, random_weights(spec), fused=False)
    onnx.checker.check_model(plain, full_check=True)
    assert {node.domain for node in plain.graph.node} == {""}
    for ours, theirs in zip(
        Graph(spec, random_weights(spec), fused=False).run(*inputs(spec)),
        graphs[name].run(*inputs(spec)),
        strict=True,
    ):
        assert error_db(ours, theirs) < -110


@pytest.mark.parametrize("stems", [[2], [3, 0]])
def test_a_graph_for_some_stems_only(stems, graphs):
    spec = SPECS["four"]
    some = Graph(spec, random_weights(spec), stems).run(*inputs(spec))
    whole = graphs["four"].run(*inputs(spec))
    for ours, theirs in zip(some, whole, strict=True):
        assert ours.shape == (len(stems), *theirs.shape[1:])
        assert error_db(ours, theirs[stems]) < -110


def test_shapes_are_static():
    spec = SPECS["four"]
    graph = build_graph(spec, random_weights(spec)).graph
    sizes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (*graph.input, *graph.output)]
    assert sizes == [[1, 2, 3000], [1, 4, 128, 47], [1, 4, 4, 128, 47], [1, 4, 2, 3000]]


def test_the_twin_takes_a_batch():
    torch = pytest.importorskip("torch")
    from unweave.families.htdemucs.network import load_network

    spec = SPECS["four"]
    network = load_network(spec, random_weights(spec))
    arrays = [torch.from_numpy(np.stack([array, array[::-1] * 0.3])) for array in inputs(spec)]
    with torch.inference_mode():
        together = network(*arrays)
        for row in range(2):
            alone = network(*(array[row : row + 1] for array in arrays))
            for ours, theirs in zip(together, alone, strict=True):
                assert error_db(ours[row].numpy(), theirs[0].numpy()) < -100


def test_the_twin_refuses_other_weights():
    pytest.importorskip("torch")
    from unweave.families.htdemucs.network import load_network

    weights = random_weights(SPECS["four"])
    weights["encoder.0.conv.bias"] = np.zeros(3, np.float32)
    with pytest.raises(CheckpointError):
        load_network(SPECS["four"], weights)
