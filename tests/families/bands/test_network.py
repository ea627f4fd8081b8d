"""The network over split bands hears all segments at one level, and its weights are its own."""

import dataclasses

import onnxruntime
import pytest
import torch

from unweave.errors import CheckpointError
from unweave.families.bands.network import BandNet, _level
from unweave.families.torch_network import load_network, new_network, save_network, save_onnx
from unweave.models.spec import MaskModelSpec

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
    with pytest.raises(CheckpointError, match=r"weights of toy, but those of another network$"):
        load_network(SPEC, path)


def test_without_training_attention_changes_nothing(magnitudes):
    plain, attending = BandNet(SPEC).eval(), BandNet(dataclasses.replace(SPEC, time_attention=True)).eval()
    attending.load_state_dict(plain.state_dict(), strict=False)
    with torch.inference_mode():
        torch.testing.assert_close(attending(magnitudes), plain(magnitudes), rtol=0, atol=0)


@pytest.mark.parametrize("attends", [False, True])
def test_with_attention_the_last_frame_hears_the_first(attends):
    """Two frames change places, which leaves the segment's level as it is."""
    network = BandNet(dataclasses.replace(SPEC, time_attention=attends)).eval()
    if attends:
        torch.nn.init.normal_(network.attention.out.weight, generator=torch.Generator().manual_seed(1))
    before = torch.rand((1, 2, 128, 256), generator=torch.Generator().manual_seed(0))
    after = before[:, :, [2, 1, 0, *range(3, 128)]]
    with torch.inference_mode():
        change = (network(after) - network(before))[..., -1, :].abs().max()
    assert (change > 1e-4) == attends


def test_an_ensemble_gives_the_mean_in_every_form(tmp_path, magnitudes):
    spec = dataclasses.replace(SPEC, ensemble=2, time_attention=True)
    network = new_network(spec).eval()
    one = magnitudes[:1]
    with torch.inference_mode():
        expected = (network.networks[0](one) + network.networks[1](one)) / 2
    save_network(network, spec, tmp_path / "model.safetensors")
    save_onnx(network, spec, tmp_path / "model.onnx")
    with torch.inference_mode():
        torch.testing.assert_close(load_network(spec, tmp_path / "model.safetensors")(one), expected)
    (estimates,) = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"magnitudes": one.numpy()})
    torch.testing.assert_close(torch.from_numpy(estimates), expected, rtol=1e-3, atol=1e-5)
