import dataclasses

import numpy as np
import onnxruntime
import pytest

from tests.helpers.naive_unet import estimate
from tests.helpers.toys import TOY, TOY_FIVE, TOY_FOUR, random_variables
from unweave.errors import CheckpointError
from unweave.families.unet.graph import INPUT, build_graph
from unweave.families.unet.weights import read_unets

# Wide enough for a layer or two above the limit where phases become convolutions of their own.
WIDE = dataclasses.replace(TOY, n_filters=(4, 32, 40, 8, 33, 6))


@pytest.mark.parametrize("spec", [TOY, TOY_FOUR, TOY_FIVE, WIDE], ids=["sigmoid", "elu", "softmax", "wide"])
def test_the_rewritten_graph_computes_the_definition(spec):
    unets = read_unets(random_variables(spec), spec)
    session = onnxruntime.InferenceSession(
        build_graph(unets, spec).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    magnitudes = np.random.default_rng(1).random((2, 64, 128)).astype(np.float32)
    got = session.run(None, {INPUT: magnitudes[None]})[0][:, 0]
    expected = estimate(magnitudes, unets, spec)
    assert got.shape == (len(spec.stems), 2, 64, 128)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)


def test_several_segments_at_once_are_independent():
    unets = read_unets(random_variables(TOY), TOY)
    session = onnxruntime.InferenceSession(
        build_graph(unets, TOY).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    magnitudes = np.random.default_rng(1).random((3, 2, 64, 64)).astype(np.float32)
    together = session.run(None, {INPUT: magnitudes})[0]
    for index in range(3):
        alone = session.run(None, {INPUT: magnitudes[index : index + 1]})[0]
        np.testing.assert_allclose(together[:, index], alone[:, 0], atol=1e-6)


def test_a_missing_variable_is_named():
    variables = random_variables(TOY)
    del variables["conv2d_transpose_3/bias"]
    with pytest.raises(CheckpointError, match="conv2d_transpose_3/bias"):
        read_unets(variables, TOY)


def test_another_shape_is_an_error():
    with pytest.raises(CheckpointError, match="shape"):
        read_unets(random_variables(WIDE), TOY)


def test_more_stems_than_described_is_an_error():
    with pytest.raises(CheckpointError, match="more stems"):
        read_unets(random_variables(TOY_FOUR), TOY)
