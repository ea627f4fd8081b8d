"""How bags are described, and how the estimates of their networks are put together."""

import dataclasses

import numpy as np
import pytest

from tests.families.htdemucs.small import SPECS, signal
from tests.families.htdemucs.test_recipe import Shares
from tests.helpers.signals import error_db
from unweave.errors import CheckpointError, OptionError
from unweave.families.bag.separator import BagSeparator
from unweave.families.bag.shares import Bag, read_bag
from unweave.families.demucs.recipe import HybridSeparator

SPEC = SPECS["four"]


def test_members_of_a_bag_give_their_stems_only():
    networks = [Shares(np.eye(4)[i] + 0.25) for i in range(4)]
    bag = BagSeparator([HybridSeparator(SPEC, network) for network in networks], np.eye(4))
    segment = signal(3000)
    stems = bag.separate(segment, [3, 1], is_first=True)
    assert [network.n_runs for network in networks] == [0, 1, 0, 1]
    for row, stem in enumerate((3, 1)):
        alone = HybridSeparator(SPEC, networks[stem]).separate(segment, [stem], is_first=True)
        np.testing.assert_array_equal(stems[row], alone[0])


def test_members_of_a_bag_are_averaged_by_their_shares():
    members = [HybridSeparator(SPEC, Shares((share,) * 4)) for share in (1, 0)]
    segment = signal(3000)
    shares = np.array([[0.75, 0.5, 0.25, 0.0], [0.25, 0.5, 0.75, 1.0]])
    stems = BagSeparator(members, shares).separate(segment, [0, 1, 2, 3], is_first=False)
    alone = members[0].separate(segment, [0], is_first=False)[0]  # the other gives nothing
    assert error_db(stems, shares[0][:, None, None] * alone) < -100


def test_members_of_a_bag_have_segments_of_one_length():
    other = dataclasses.replace(SPEC, segment_samples=3200)
    members = [HybridSeparator(spec, Shares()) for spec in (SPEC, other)]
    with pytest.raises(OptionError, match="one length"):
        BagSeparator(members, [[1.0] * 4] * 2)


def test_the_bag_of_fine_tuned_networks():
    rows = [[float(i == k) for k in range(4)] for i in range(4)]
    names = ["f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"]
    bag = read_bag({"models": names, "weights": rows})
    assert bag.members == tuple(names)
    assert bag.shares(4) == rows
    assert Bag(("a", "b")).shares(2) == [[0.5, 0.5], [0.5, 0.5]]
    assert Bag(("a", "b"), ((1.0, 3.0), (1.0, 1.0))).shares(2) == [[0.5, 0.75], [0.5, 0.25]]
    assert read_bag({"training": {}}) is None
    assert read_bag({"models": names, "segment": 44}).segment == 44


@pytest.mark.parametrize(
    "settings",
    [
        {"models": []},
        {"models": [1, 2]},
        {"models": ["a"], "weights": [[1, 0], [0, 1]]},
        {"models": ["a"], "weights": [[-1.0]]},
        {"models": ["a"], "weights": [[float("nan")]]},
        {"models": ["a"], "weights": ["1"]},
        {"models": ["a"], "weights": 1.0},
        {"models": ["a"] * 1000},
        {"models": ["a"], "segment": "long"},
        {"models": ["a"], "segment": 0},
    ],
)
def test_bags_that_make_no_sense(settings):
    with pytest.raises(CheckpointError):
        read_bag(settings)


@pytest.mark.parametrize("weights", [((1.0,),), ((0.0, 0.0, 0.0, 0.0),)])
def test_bags_that_do_not_fit_their_networks(weights):
    with pytest.raises(CheckpointError):
        Bag(("a",), weights).shares(4)
