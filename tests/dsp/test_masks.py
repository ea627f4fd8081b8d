import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unweave.dsp.masks import extend_masks, fade_weights, ratio_masks

magnitudes = arrays(np.float32, (3, 2, 4, 5), elements=st.floats(0, 1000, width=32))


@given(magnitudes, st.sampled_from([1.0, 1.5, 2.0]))
def test_masks_are_shares_that_sum_to_one(estimates, exponent):
    before = estimates.copy()
    masks = ratio_masks(estimates, exponent)
    assert (masks >= 0).all()
    np.testing.assert_allclose(masks.sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(estimates, before)


def test_silence_is_shared_equally():
    np.testing.assert_allclose(ratio_masks(np.zeros((4, 2, 3, 3), np.float32)), 0.25)


def test_exponent_two_is_the_wiener_ratio():
    estimates = np.array([3.0, 4.0], np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(ratio_masks(estimates).ravel(), [9 / 25, 16 / 25], rtol=1e-6)


def test_extension():
    masks = np.random.default_rng(0).random((2, 3, 8)).astype(np.float32)
    zeros = extend_masks(masks, 12, "zeros")
    average = extend_masks(masks, 12, "average")
    np.testing.assert_array_equal(zeros[..., :8], masks)
    assert (zeros[..., 8:] == 0).all()
    np.testing.assert_allclose(average[..., 8:], np.repeat(masks.mean(-1, keepdims=True), 4, -1), rtol=1e-6)
    edge = extend_masks(masks, 12, "edge")
    np.testing.assert_allclose(edge[..., 8:], np.repeat(masks[..., 6:].mean(-1, keepdims=True), 4, -1), rtol=1e-6)
    assert zeros.dtype == average.dtype == edge.dtype == np.float32
    with pytest.raises(ValueError, match="'zeros', 'average' or 'edge'"):
        extend_masks(masks, 12, "mirror")


@pytest.mark.parametrize(("n_frames", "overlap"), [(8, 0), (8, 1), (8, 4), (512, 64), (512, 256)])
def test_fades_of_neighbours_sum_to_one(n_frames, overlap):
    weights = fade_weights(n_frames, overlap, is_first=False)
    total = np.zeros(4 * n_frames, np.float32)
    for start in range(0, 3 * n_frames, n_frames - overlap):
        total[start : start + n_frames] += weights
    np.testing.assert_allclose(total[n_frames : 2 * n_frames], 1, rtol=1e-6)


def test_the_first_segment_does_not_fade_in():
    np.testing.assert_allclose(fade_weights(6, 2, is_first=False), [0.25, 0.75, 1, 1, 0.75, 0.25])
    np.testing.assert_allclose(fade_weights(6, 2, is_first=True), [1, 1, 1, 1, 0.75, 0.25])
    np.testing.assert_array_equal(fade_weights(3, 0, is_first=False), [1, 1, 1])


def test_a_sample_near_silence():
    """ε, shared among the stems, keeps the masks of what is as small as ε apart from both extremes."""
    estimates = np.array([[1e-5], [0]], np.float32)  # a power of ε, and none
    np.testing.assert_allclose(ratio_masks(estimates).ravel(), [0.75, 0.25], rtol=1e-5)
