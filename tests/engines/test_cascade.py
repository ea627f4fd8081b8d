"""A network that takes a stem away before another takes the rest apart: the same on all engines."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.helpers.signals import error_db, noise
from tests.helpers.toys import TOY, write_toy
from unweave.engines.cascade import CascadeNetwork
from unweave.engines.onnx import OnnxNetwork
from unweave.families.cascade import Cascade
from unweave.families.torch_network import load_network, new_network, save_network, save_onnx
from unweave.families.unet.path import network_path
from unweave.models.resolve import resolve
from unweave.models.spec import MaskModelSpec

THREE = MaskModelSpec(
    name="three", weights="three", stems=("vocals", "drums", "other"), network="bands", head="softmax",
    n_filters=(4, 8), n_fft=512, hop_length=128, n_bins=256, n_frames=64, mask_exponent=1.0,
)  # fmt: skip


def networks(tmp_path):
    first = resolve(str(write_toy(tmp_path)))
    torch.manual_seed(2)
    second = new_network(THREE).eval()
    save_onnx(second, THREE, tmp_path / "model.onnx")
    save_network(second, THREE, tmp_path / "model.safetensors")
    return first.spec, first.locate(True, print), tmp_path / "model.onnx"


@pytest.mark.parametrize("n_bins", [256, 128])
def test_the_estimates_are_those_of_both_and_sum_to_the_mixture(tmp_path, cache, n_bins):
    spec, location, path = networks(tmp_path)
    first, second = OnnxNetwork(network_path(spec, location)), OnnxNetwork(path)
    mixture = np.abs(noise(64 * 256).reshape(2, 64, 256))
    estimates = CascadeNetwork(first, second, 2.0, n_bins).estimate(mixture).copy()
    assert error_db(estimates.sum(0), mixture) < -90
    powers = first.estimate(np.ascontiguousarray(mixture[..., :n_bins])) ** 2
    mask = powers[0] / powers.sum(0)
    unseen = mask.mean(-1, keepdims=True).repeat(256 - n_bins, -1)  # the mean of each frame's mask
    vocals = mixture * np.concatenate([mask, unseen], -1)
    assert error_db(estimates[0], vocals) < -80
    rest = second.estimate(mixture - vocals)
    assert error_db(estimates[1], (mixture - vocals) * rest[1] / (rest[1] + rest[2])) < -80


@pytest.mark.parametrize("n_bins", [256, 192])
def test_pytorch_equals_onnx_runtime(tmp_path, cache, n_bins):
    spec, location, path = networks(tmp_path)
    mixture = np.abs(noise(64 * 256).reshape(2, 64, 256))
    first, second = OnnxNetwork(network_path(spec, location)), OnnxNetwork(path)
    expected = CascadeNetwork(first, second, 1.25, n_bins).estimate(mixture)
    module = Cascade(load_network(spec, location), load_network(THREE, path), 1.25, n_bins)
    with torch.inference_mode():
        in_torch = module(torch.from_numpy(mixture)[None])[:, 0].numpy()
    assert error_db(in_torch, expected) < -60


class Shares(torch.nn.Module):
    """A network that gives each stem the same share everywhere."""

    n_frames = None

    def __init__(self, *shares):
        super().__init__()
        self.shares = torch.tensor(shares).reshape(-1, 1, 1, 1, 1)

    def forward(self, magnitudes):
        return self.shares * magnitudes

    def estimate(self, mixture):
        return self(torch.from_numpy(mixture.copy())[None])[:, 0].numpy()


def test_in_pytorch_silent_bins_count_as_much_for_those_above():
    mixture = np.abs(noise(64 * 256).reshape(2, 64, 256))
    mixture[..., 16:128] = 0
    first, second = Shares(0.7, 0.3), Shares(0.2, 0.3, 0.5)
    expected = CascadeNetwork(first, second, 2.0, 128).estimate(mixture)
    in_torch = Cascade(first, second, 2.0, 128)(torch.from_numpy(mixture)[None])[:, 0].numpy()
    assert error_db(in_torch, expected) < -80


def test_a_model_names_the_one_before_it(tmp_path, cache, monkeypatch):
    from unweave import Separator
    from unweave.models import resolve as module

    spec, location, path = networks(tmp_path)
    cascade = dataclasses.replace(THREE, before="toy", overlap_frames=0)
    before = module.ResolvedModel(spec, lambda offline, progress: location)
    found = module.ResolvedModel(cascade, lambda offline, progress: path, before)
    monkeypatch.setattr("unweave.families.load.resolve", lambda name: found)
    mixture = noise(20_000)
    stems = Separator("any", device="cpu").separate(mixture, TOY.sample_rate)
    assert list(stems) == ["vocals", "drums", "other"]
    assert error_db(sum(stems.values()), mixture) < -100
