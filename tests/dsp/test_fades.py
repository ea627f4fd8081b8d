import numpy as np
import pytest

from unweave.dsp.fades import shares


def test_equal_windows_share_equally():
    np.testing.assert_array_equal(shares(np.ones(4), 2), [0.5, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(shares(np.ones(4), 2, is_first=True), [1, 1, 0.5, 0.5])
    np.testing.assert_allclose(shares(np.ones(6), 2), np.full(6, 1 / 3), rtol=1e-6)
    np.testing.assert_array_equal(shares(np.ones(5), 3), [0.5, 0.5, 1, 0.5, 0.5])


def test_shares_follow_the_window():
    """At each sample: the window there, over that of the neighbour there."""
    np.testing.assert_allclose(shares(np.array([1.0, 3.0, 2.0, 4.0]), 2), [1 / 3, 3 / 7, 2 / 3, 4 / 7], rtol=1e-6)


def test_a_segment_without_neighbours_stands_alone():
    np.testing.assert_array_equal(shares(np.array([0.5, 2.0, 1.0]), 3), [1, 1, 1])
    np.testing.assert_array_equal(shares(np.array([0.0, 1.0, 0.0]), 3), [1, 1, 1])


@pytest.mark.parametrize("hop", [1, 3, 4, 6, 7, 12])
def test_shares_of_all_segments_add_up(hop):
    window = np.hanning(14)[1:-1]
    weights = shares(window, hop)
    total = np.zeros(120)
    for start in range(0, 108, hop):
        total[start : start + 12] += weights
    np.testing.assert_allclose(total[12:96], 1, rtol=1e-6)
    assert weights.dtype == np.float32


@pytest.mark.parametrize("hop", [6, 9, 12])
def test_shares_add_up_from_the_first_sample_on(hop):
    window = np.hanning(14)[1:-1]
    total = np.zeros(120)
    for start in range(0, 108, hop):
        total[start : start + 12] += shares(window, hop, is_first=start == 0)
    np.testing.assert_allclose(total[:96], 1, rtol=1e-6)


def test_the_window_is_not_changed():
    window = np.hanning(8)
    shares(window, 4)
    np.testing.assert_array_equal(window, np.hanning(8))


@pytest.mark.parametrize("hop", [-1, 0, 5])
def test_a_hop_that_leaves_gaps_is_refused(hop):
    with pytest.raises(ValueError, match="from 1 to 4"):
        shares(np.ones(4), hop)
