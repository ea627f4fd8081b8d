"""The network over split bands hears all segments at one level, and its weights are its own."""

import dataclasses

import onnx
import pytest
import torch

from unweave.errors import CheckpointError
from unweave.models.band_net import BandNet, _level
from unweave.models.spec import MaskModelSpec
from unweave.models.torch_network import load_network, new_network, save_network, save_onnx

SPEC = MaskModelSpec(
    name="toy", weights="toy", stems=("drums", "other"), network="bands", n_filters=(4, 8), n_bins=256, n_frames=32
)


@pytest.fixture
def magnitudes():
    return torch.rand((3, 2, 32, 256), generator=torch.Generator().manual_seed(0))


def test_soft_segments_are_separated_as_loud_ones(magnitudes):
    network = BandNet(SPEC).eval()
    gains = torch.tensor([1.0, 0.01, 100.0])[:, None, None, None]
    with torch.inference_mode():
        expected = network(magnitudes) * gains
        torch.testing.assert_close(network(magnitudes * gains), expected, rtol=1e-3, atol=0)


def test_pauses_do_not_count(magnitudes):
    with_pause = torch.cat([magnitudes, torch.zeros_like(magnitudes)], dim=2)
    torch.testing.assert_close(_level(with_pause), _level(magnitudes))


def test_silence_is_separated_into_silence(magnitudes):
    assert not BandNet(SPEC).eval()(0 * magnitudes).any()


def test_weights_of_another_network_are_refused_in_a_few_words(tmp_path):
    other = dataclasses.replace(SPEC, n_filters=(8, 8))
    path = tmp_path / "model.safetensors"
    save_network(new_network(other), other, path)
    with pytest.raises(CheckpointError, match=r"weights of toy, but another network's$"):
        load_network(SPEC, path)


def test_an_exported_network_does_not_name_the_lines_of_its_code(tmp_path):
    save_onnx(new_network(SPEC), SPEC, tmp_path / "model.onnx")
    assert b".py" not in (tmp_path / "model.onnx").read_bytes()
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
