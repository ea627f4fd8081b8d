"""The U-Nets in PyTorch, held against their definition."""

import dataclasses

import numpy as np
import pytest

from tests.helpers.naive_unet import estimate
from tests.helpers.toys import TOY, TOY_FIVE, TOY_FOUR, random_variables
from unweave.families.unet.weights import read_unets

torch = pytest.importorskip("torch")
from unweave.families.unet import network as unet  # noqa: E402 - it needs PyTorch


@pytest.mark.parametrize("spec", [TOY, TOY_FOUR, TOY_FIVE], ids=["sigmoid", "elu", "softmax"])
def test_they_compute_the_definition(spec):
    weights = read_unets(random_variables(spec), spec)
    network = unet.unets_from_weights(weights, spec)
    magnitudes = np.random.default_rng(1).random((2, 2, 64, 64)).astype(np.float32)
    with torch.inference_mode():
        estimates = network(torch.from_numpy(magnitudes)).numpy()
    assert estimates.shape == (len(spec.stems), 2, 2, 64, 64)
    np.testing.assert_allclose(estimates[:, 1], estimate(magnitudes[1], weights, spec), rtol=1e-3, atol=1e-5)


def test_the_weights_come_out_as_they_went_in():
    weights = read_unets(random_variables(TOY), TOY)
    for before, after in zip(weights, unet.unets_to_weights(unet.unets_from_weights(weights, TOY)), strict=True):
        for name in ("encoder", "encoder_norms", "decoder", "decoder_norms"):
            parts = list(zip(getattr(before, name), getattr(after, name), strict=True))
            assert len(parts) == 6
            for one, other in parts:
                for field in dataclasses.fields(one):
                    np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
        np.testing.assert_array_equal(before.last.kernel, after.last.kernel)
        np.testing.assert_array_equal(before.last.bias, after.last.bias)


def test_a_gate_weights_the_skip_between_nothing_and_all():
    gate = unet.AttentionGate(4)
    skip, decoded = torch.rand(1, 4, 3, 5), torch.rand(1, 4, 3, 5)
    with torch.inference_mode():
        weights = gate(skip, decoded) / skip
        inner = torch.relu(gate.of_skip(skip) + gate.of_decoder(decoded))
        by_hand = 1 / (1 + torch.exp(-(gate.weight.bias + (gate.weight.weight[0] * inner[0]).sum(0))))
    for channel in range(4):
        np.testing.assert_allclose(weights[0, channel], by_hand, rtol=1e-4)
    assert gate.of_skip.out_channels == gate.of_decoder.out_channels == 2


def test_a_residual_block_adds_to_its_input():
    block = unet.ResidualBlock(3).eval()
    x = torch.randn(1, 3, 4, 5)
    with torch.inference_mode():
        added = block(x) - x
        scale = 1 / np.sqrt(1 + 1e-3)  # of a norm that has seen nothing
        np.testing.assert_allclose(added, torch.relu(block.conv(x) * scale), atol=1e-6)
        block.conv.weight.zero_()
        np.testing.assert_array_equal(block(x), x)


@pytest.mark.parametrize(("option", "more"), [("attention_gates", "gates"), ("residual_blocks", "blocks")])
def test_both_options_are_used(option, more):
    torch.manual_seed(0)
    spec = dataclasses.replace(TOY, n_filters=(4, 6, 4, 6, 4, 8), **{option: True})
    network = unet.UNet(spec).eval()
    x = torch.rand(1, 2, 64, 64)
    with torch.inference_mode():
        first = network(x)
        assert first.shape == x.shape
        for level in range(5):
            kept = [parameter.clone() for parameter in getattr(network, more)[level].parameters()]
            for parameter in getattr(network, more)[level].parameters():
                parameter.add_(1)
            assert (network(x) - first).abs().max() > 1e-6, level
            for parameter, before in zip(getattr(network, more)[level].parameters(), kept, strict=True):
                parameter.copy_(before)
        np.testing.assert_array_equal(network(x), first)


def test_dropout_is_after_the_first_three_layers_and_in_training_only():
    torch.manual_seed(0)
    network = unet.UNet(TOY)
    calls = []
    network.dropout.register_forward_hook(lambda module, inputs, output: calls.append(output.shape[1]))
    x = torch.rand(2, 2, 64, 64)
    assert not torch.equal(network(x), network(x))
    assert calls == [2, 3, 2] * 2  # the widths of those layers
    network.eval()
    assert torch.equal(network(x), network(x))
