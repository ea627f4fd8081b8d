"""Losses are what their equations say."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.helpers.toys import TOY
from unweave.dsp.stft import analyse, synthesise
from unweave.training.losses import LOSSES, Estimate, Truth, weighted_loss
from unweave.training.spectrum import Transform, segment_samples

SPEC = dataclasses.replace(TOY, n_fft=512, hop_length=128, n_bins=257)
N_SAMPLES = segment_samples(SPEC, 64)
TRANSFORM = Transform(SPEC, torch.device("cpu"))


def estimate(error=0.0, scale=1.0):
    generator = torch.Generator().manual_seed(3)
    true = 0.1 * torch.randn(2, 3, 2, N_SAMPLES, generator=generator)
    true[1] = 0  # so that the mixture's phase is the stem's
    mixture = TRANSFORM.forward(true.sum(0))
    magnitudes = torch.stack([scale * mixture.abs(), error * mixture.abs()])
    return Estimate(Truth(TRANSFORM, true), magnitudes)


def test_the_transform_is_that_of_the_rest():
    samples = torch.randn(2, N_SAMPLES, generator=torch.Generator().manual_seed(0)).mul(0.1)
    ours = TRANSFORM.forward(samples)
    theirs = analyse(samples.numpy(), SPEC.n_fft, SPEC.hop_length)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)
    np.testing.assert_allclose(
        TRANSFORM.inverse(ours).numpy(), synthesise(theirs, SPEC.n_fft, SPEC.hop_length), atol=1e-4
    )


@pytest.mark.parametrize("name", LOSSES)
def test_right_is_better_than_wrong(name):
    right, wrong = LOSSES[name](estimate()), LOSSES[name](estimate(error=0.5, scale=0.5))
    if name == "si_sdr":  # blind to scale
        assert max(right, wrong) < -60
    else:
        assert right < wrong - 1e-3


def test_magnitude_l1_is_the_original_sum_of_means():
    given = estimate(error=0.25)
    expected = 0.25 * given.truth.mixture.mean()
    torch.testing.assert_close(LOSSES["magnitude_l1"](given), expected, rtol=1e-4, atol=1e-5)


def test_spectrum_sdr_in_decibels():
    # One stem perfect (the floor, −30 dB), one of silence with the mixture at −20 dB in it.
    given = estimate(error=0.1)
    perfect = 10 * np.log10(1e-3 / (1 + 1e-3))
    silent = 10 * np.log10((1e-2 + 1e-3) / 1e-3)
    assert float(LOSSES["spectrum_sdr"](given)) == pytest.approx((perfect + silent) / 2, abs=0.02)


def test_waveform_l1_and_si_sdr():
    given = estimate(scale=0.5)
    true = given.truth.parts[0]
    assert float(LOSSES["waveform_l1"](given)) == pytest.approx(float(true.abs().mean()) / 4, rel=1e-3)
    assert float(LOSSES["si_sdr"](given)) < -60


def test_losses_are_weighted():
    given = estimate(error=0.3)
    both = weighted_loss(given, {"magnitude_l1": 2.0, "waveform_l1": 0.5})
    expected = 2 * LOSSES["magnitude_l1"](given) + 0.5 * LOSSES["waveform_l1"](given)
    torch.testing.assert_close(both, expected)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_even_for_silence(name):
    magnitudes = torch.zeros(2, 1, 2, 64, 257, requires_grad=True)
    silence = torch.zeros(2, 1, 2, N_SAMPLES)
    LOSSES[name](Estimate(Truth(TRANSFORM, silence), magnitudes)).backward()
    assert magnitudes.grad is not None
    assert torch.isfinite(magnitudes.grad).all()


def test_spectrum_l2_is_the_relative_error():
    # The first stem at half its size, the second with a quarter of the mixture too much.
    assert float(LOSSES["spectrum_l2"](estimate(error=0.25, scale=0.5))) == pytest.approx(0.75, abs=0.01)


def test_what_is_taken_is_given_to_the_rest():
    from unweave.training.trainer import without

    mixture = torch.rand(4, 2, 8, 16) + 0.1
    shares = torch.softmax(torch.randn(3, 4, 2, 8, 16), 0)
    taken = torch.tensor([[True, False, False], [False, False, False], [False, True, True], [False, False, True]])
    given = without(shares * mixture, mixture, taken)
    torch.testing.assert_close(given.sum(0), mixture)
    torch.testing.assert_close(given[:, 1], (shares * mixture)[:, 1])
    assert not given[0, 0].any()
    torch.testing.assert_close(given[1, 0] / given[2, 0], shares[1, 0] / shares[2, 0])
