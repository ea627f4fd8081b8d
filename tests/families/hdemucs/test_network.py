"""The graph, and its twin in PyTorch, against what the package demucs computes (see `make_references`)."""

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.families.demucs.checks import (
    Graph,
    a_batch_is_its_parts,
    equal_references,
    inputs,
    other_weights_are_refused,
    outputs_of_twin,
    the_recipe_is_that_of_demucs,
)
from tests.families.hdemucs.small import EVERY, KINDS, SEGMENT, SPECS, random_weights, track
from tests.families.htdemucs.small import signal
from tests.helpers.signals import error_db
from unweave.dsp.real_parts import from_channels
from unweave.families.demucs.spectrum import spectrum_of, waveform_of
from unweave.families.hdemucs.graph import build_graph
from unweave.families.hdemucs.recipe import separate_track

REFERENCES = Path(__file__).with_name("references.npz")


@pytest.fixture(scope="module")
def references():
    return dict(np.load(REFERENCES))


@lru_cache(maxsize=32)
def graph(name, n_samples=None):
    """The network ``name``, for segments of ``n_samples`` or of its own length."""
    spec = SPECS[name]
    spec = dataclasses.replace(spec, segment_samples=n_samples or spec.segment_samples)
    return Graph(build_graph(spec, random_weights(spec)))


@pytest.mark.parametrize("name", SPECS)
def test_the_graph_computes_what_demucs_computes(name, references):
    spec = SPECS[name]
    spectra, waveforms = graph(name).run(*inputs(spec))
    equal_references((spectra, waveforms), references, name, EVERY)
    stems = np.stack([waveform_of(from_channels(stem), spec) for stem in spectra]) + waveforms
    assert error_db(stems.ravel()[::EVERY], references[f"{name}/stems"]) < -100


@pytest.mark.parametrize("name", SPECS)
def test_the_twin_computes_what_demucs_computes(name, references):
    pytest.importorskip("torch")
    from unweave.families.hdemucs.network import load_network

    spec = SPECS[name]
    network = load_network(spec, random_weights(spec))
    equal_references(outputs_of_twin(network, spec), references, name, EVERY)


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_recipe_is_that_of_demucs(kind, references):
    separated = separate_track(track(kind), SPECS["four"], lambda n_samples: graph("four", n_samples))
    the_recipe_is_that_of_demucs(separated, track(kind), references[f"recipe/{kind}"], EVERY)


def test_graphs_are_made_of_standard_operators():
    model = build_graph(SPECS["odd"], random_weights(SPECS["odd"]))
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}


def test_shapes_are_static():
    ports = build_graph(SPECS["four"], random_weights(SPECS["four"])).graph
    sizes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (*ports.input, *ports.output)]
    assert sizes == [[1, 2, SEGMENT], [1, 4, 32, 438], [1, 4, 4, 32, 438], [1, 4, 2, SEGMENT]]


def test_the_twin_takes_a_batch_of_any_length():
    pytest.importorskip("torch")
    from unweave.families.hdemucs.network import load_network

    spec = dataclasses.replace(SPECS["four"], segment_samples=1234)
    network = load_network(SPECS["four"], random_weights(spec))
    a_batch_is_its_parts(network, spec)


def test_the_twin_refuses_other_weights():
    pytest.importorskip("torch")
    from unweave.families.hdemucs.network import load_network

    other_weights_are_refused(load_network, SPECS["four"], random_weights(SPECS["four"]), "HDemucs")


@pytest.mark.parametrize("name", SPECS)
def test_a_spectrum_and_back(name):
    spec = SPECS[name]
    samples = signal(spec.segment_samples, spec.audio_channels)
    samples -= samples.mean()
    back = waveform_of(spectrum_of(samples, spec), spec)
    late = 3 * spec.hop_length // 2 if spec.zero_borders else 0  # what the old rule does, and its networks make up for
    inside = slice(spec.n_fft, spec.segment_samples - 2 * spec.n_fft)
    assert error_db(back[:, inside], samples[:, inside.start - late : inside.stop - late]) < -20
