"""The graph, and its twin in PyTorch, against what the package demucs computes (see `make_references`)."""

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
from tests.families.htdemucs.small import EVERY, KINDS, SPECS, random_weights, track
from tests.helpers.signals import error_db
from unweave.families.htdemucs.graph import build_graph
from unweave.families.htdemucs.recipe import separate_track

REFERENCES = Path(__file__).with_name("references.npz")


@pytest.fixture(scope="module")
def references():
    return dict(np.load(REFERENCES))


@pytest.fixture(scope="module")
def graphs():
    return {name: Graph(build_graph(spec, random_weights(spec))) for name, spec in SPECS.items()}


@pytest.mark.parametrize("name", SPECS)
def test_the_graph_computes_what_demucs_computes(name, graphs, references):
    spectra, waveforms = graphs[name].run(*inputs(SPECS[name]))
    equal_references((spectra, waveforms), references, name, EVERY)


@pytest.mark.parametrize("name", SPECS)
def test_the_twin_computes_what_demucs_computes(name, references):
    pytest.importorskip("torch")
    from unweave.families.htdemucs.network import load_network

    spec = SPECS[name]
    network = load_network(spec, random_weights(spec))
    equal_references(outputs_of_twin(network, spec), references, name, EVERY)


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_recipe_is_that_of_demucs(kind, graphs, references):
    separated = separate_track(track(kind), SPECS["four"], graphs["four"])
    the_recipe_is_that_of_demucs(separated, track(kind), references[f"recipe/{kind}"], EVERY)


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
        Graph(plain).run(*inputs(spec)),
        graphs[name].run(*inputs(spec)),
        strict=True,
    ):
        assert error_db(ours, theirs) < -110


@pytest.mark.parametrize("stems", [[2], [3, 0]])
def test_a_graph_for_some_stems_only(stems, graphs):
    spec = SPECS["four"]
    some = Graph(build_graph(spec, random_weights(spec), stems)).run(*inputs(spec))
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
    pytest.importorskip("torch")
    from unweave.families.htdemucs.network import load_network

    spec = SPECS["four"]
    network = load_network(spec, random_weights(spec))
    a_batch_is_its_parts(network, spec)


def test_the_twin_refuses_other_weights():
    pytest.importorskip("torch")
    from unweave.families.htdemucs.network import load_network

    other_weights_are_refused(load_network, SPECS["four"], random_weights(SPECS["four"]), "HTDemucs")
