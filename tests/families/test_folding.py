"""A network of five stems as a model of four: what is added up is the same in both engines."""

import dataclasses

import numpy as np
import torch

from tests.helpers.signals import error_db, noise
from unweave.engines.onnx import OnnxNetwork
from unweave.families.folding import groups_of
from unweave.families.torch_network import load_network, new_network, save_network, save_onnx
from unweave.families.unet.path import network_path
from unweave.models.spec import MaskModelSpec

FIVE = MaskModelSpec(
    name="five",
    weights="five",
    stems=("vocals", "drums", "bass", "piano", "other"),
    network="bands",
    head="softmax",
    n_filters=(4, 8),
    n_fft=512,
    hop_length=128,
    n_bins=256,
    n_frames=32,
    mask_exponent=1.0,
)
FOUR = dataclasses.replace(
    FIVE, name="four", stems=("vocals", "drums", "bass", "other"), network_stems=FIVE.stems, folds=(("piano", "other"),)
)


def test_groups():
    assert groups_of(FOUR) == [[0], [1], [2], [3, 4]]


def test_a_folded_network_adds_up(tmp_path, cache):
    torch.manual_seed(1)
    network = new_network(FIVE).eval()
    save_onnx(network, FIVE, tmp_path / "model.onnx")
    save_network(network, FIVE, tmp_path / "model.safetensors")
    magnitude = np.abs(noise(32 * 256).reshape(2, 32, 256))
    five = OnnxNetwork(network_path(FIVE, tmp_path / "model.onnx")).estimate(magnitude).copy()
    path = network_path(FOUR, tmp_path / "model.onnx")
    assert path != tmp_path / "model.onnx"
    four = OnnxNetwork(path).estimate(magnitude)
    expected = np.concatenate([five[:3], five[3:4] + five[4:5]])
    assert error_db(four, expected) < -100
    assert error_db(five.sum(0), magnitude) < -100  # the masks sum to one
    with torch.inference_mode():
        in_torch = load_network(FOUR, tmp_path / "model.onnx")(torch.from_numpy(magnitude)[None])[:, 0].numpy()
    assert error_db(in_torch, expected) < -100
