import numpy as np
import pytest

from tests.helpers.signals import noise
from unweave.dsp.stft import stft
from unweave.dsp.wiener import EPSILON, SpatialModel, measure, wiener_filter


def example(n_samples=6000, n_stems=3):
    spectrum = stft(noise(n_samples, level=0.3), 256, 64)
    estimates = np.random.default_rng(1).random((n_stems, *spectrum.shape)).astype(np.float32) * np.abs(spectrum)
    return estimates[..., :100], spectrum


def definition(estimates, spectrum):
    """One step of EM, point by point in float64, as the papers have it."""
    mixture = spectrum[..., : estimates.shape[-1]].astype(np.complex128)
    first = estimates / (EPSILON + estimates.sum(axis=0)) * mixture
    scale = max(1.0, np.abs(spectrum).max() / 10)
    mixture, first = mixture / scale, first / scale
    n_stems, _, n_frames, n_bins = first.shape
    filtered = np.zeros_like(first)
    for f in range(n_bins):
        variances = (np.abs(first[..., f]) ** 2).mean(axis=1)  # (stems, frames)
        covariances = [
            first[s, :, :, f] @ first[s, :, :, f].conj().T / (EPSILON + variances[s].sum()) for s in range(n_stems)
        ]
        for t in range(n_frames):
            total = sum(variances[s, t] * covariances[s] for s in range(n_stems)) + np.sqrt(EPSILON) * np.eye(2)
            whitened = np.linalg.solve(total, mixture[:, t, f])
            for s in range(n_stems):
                filtered[s, :, t, f] = variances[s, t] * covariances[s] @ whitened
    return filtered * scale


@pytest.mark.parametrize("loudness", [1, 100])  # below and above the peak from which the mixture is scaled down
def test_is_the_definition(loudness):
    estimates, spectrum = (loudness * array for array in example(2000))
    assert (np.abs(spectrum).max() > 10) == (loudness == 100)
    filtered = wiener_filter(estimates, spectrum, SpatialModel(measure(estimates, spectrum)), [0, 1, 2])
    expected = definition(estimates, spectrum)
    assert np.linalg.norm(filtered - expected) < 1e-4 * np.linalg.norm(expected)


def test_channels_that_are_nearly_alike():
    """Then the determinant is a small difference of large numbers, which float32 has not got the digits for."""
    estimates, spectrum = (300 * array for array in example(2000))
    spectrum[1] = spectrum[0] * 1.001 + 1e-3 * spectrum[1]
    estimates[:, 1] = estimates[:, 0]
    filtered = wiener_filter(estimates, spectrum, SpatialModel(measure(estimates, spectrum)), [0, 1, 2])
    expected = definition(estimates, spectrum)
    assert np.linalg.norm(filtered - expected) < 1e-4 * np.linalg.norm(expected)


def test_statistics_of_stretches_add_up():
    estimates, spectrum = example()
    whole = measure(estimates, spectrum)
    parts = measure(estimates[:, :, :40], spectrum[:, :40]) + measure(estimates[:, :, 40:], spectrum[:, 40:])
    for field in ("left", "right", "cross", "peak"):
        np.testing.assert_allclose(getattr(parts, field), getattr(whole, field), rtol=1e-5)


def test_chosen_stems_are_those_of_all():
    estimates, spectrum = example()
    model = SpatialModel(measure(estimates, spectrum))
    everything = wiener_filter(estimates, spectrum, model, [0, 1, 2])
    np.testing.assert_array_equal(wiener_filter(estimates, spectrum, model, [2])[0], everything[2])


def test_stems_sum_to_the_mixture_where_it_is_not_silent():
    estimates, spectrum = example()
    spectrum = spectrum * 100
    filtered = wiener_filter(estimates * 100, spectrum, SpatialModel(measure(estimates * 100, spectrum)), [0, 1, 2])
    mixture = spectrum[..., :100]
    assert np.linalg.norm(filtered.sum(axis=0) - mixture) < 1e-2 * np.linalg.norm(mixture)


def test_silence_stays_silent_and_finite():
    estimates = np.zeros((2, 2, 5, 8), np.float32)
    spectrum = np.zeros((2, 5, 9), np.complex64)
    assert (wiener_filter(estimates, spectrum, SpatialModel(measure(estimates, spectrum)), [0, 1]) == 0).all()
