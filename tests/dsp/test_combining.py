"""Rules of ensembles, held against the whole-song computation of librosa, audio-separator and UVR, written plainly."""

import numpy as np
import pytest

from tests.helpers.signals import noise
from unweave.dsp.combining import HOP_LENGTH, MEANS, PHASE_FIX, RULES, combiner, phase_fixed
from unweave.dsp.frames import N_FFT, N_FRAMES

LENGTHS = (1, 1023, 1024, 1025, 5000, N_FRAMES * HOP_LENGTH - 1, N_FRAMES * HOP_LENGTH + 700)
SPECTRAL = [rule for rule in RULES if rule.endswith(("_fft", "_spec"))]


def spectra_of(waveform):
    """librosa.stft(n_fft=2048, hop_length=1024): centred on zeros, with one more frame where the signal ends."""
    n_frames = 2 + waveform.shape[1] // HOP_LENGTH
    padded = np.pad(waveform.astype(np.float64), [(0, 0), (N_FFT // 2, N_FFT * 2)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    starts = range(0, n_frames * HOP_LENGTH, HOP_LENGTH)
    return np.stack([np.fft.rfft(padded[:, start : start + N_FFT] * window) for start in starts], axis=1)


def waveform_of(spectra, n_samples):
    """librosa.istft: windowed frames added up, divided by the sum of the squared windows."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    summed = np.zeros((len(spectra), (spectra.shape[1] - 1) * HOP_LENGTH + N_FFT))
    squares = np.zeros(summed.shape[1])
    for frame in range(spectra.shape[1]):
        place = slice(frame * HOP_LENGTH, frame * HOP_LENGTH + N_FFT)
        summed[:, place] += np.fft.irfft(spectra[:, frame]) * window
        squares[place] += window**2
    return (summed / np.maximum(squares, 1e-30))[:, N_FFT // 2 : N_FFT // 2 + n_samples]


def chosen(estimates, weights, rule):
    """The combination of a whole stack at once, as audio-separator's Ensembler and UVR's spec_utils define it."""
    if rule in MEANS:
        return np.average(estimates, axis=0, weights=weights)
    if rule == "median_fft":
        return np.median(estimates.real, axis=0) + 1j * np.median(estimates.imag, axis=0)
    if rule == "median_wave":
        return np.median(estimates, axis=0)
    if rule.startswith("uvr"):
        result = estimates[0]
        for estimate in estimates[1:]:
            wins = np.abs(estimate) <= np.abs(result) if "min" in rule else np.abs(estimate) >= np.abs(result)
            result = np.where(wins, estimate, result)
        return result
    pick = np.argmin if rule.startswith("min") else np.argmax
    return np.take_along_axis(estimates, pick(np.abs(estimates), axis=0)[None], axis=0)[0]


def whole(estimates, weights, rule):
    if rule not in SPECTRAL:
        return chosen(np.stack(estimates), weights, rule)
    spectra = np.stack([spectra_of(estimate) for estimate in estimates])
    return waveform_of(chosen(spectra, weights, rule), estimates[0].shape[1])


def streamed(estimates, weights, rule, sizes=(7000, 1, 40_000)):
    one, parts, start = combiner(rule, weights, len(estimates[0])), [], 0
    while start < estimates[0].shape[1]:
        stop = start + sizes[len(parts) % len(sizes)]
        parts.append(one.push([estimate[:, start:stop] for estimate in estimates]))
        start = stop
    return np.concatenate([*parts, one.flush()], axis=1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_stream_equals_the_whole_song(rule, n_channels):
    weights = (2.0, 1.0, 0.5)
    for n_samples in LENGTHS:
        estimates = [noise(n_samples, n_channels, seed=seed) for seed in range(3)]
        combined = streamed(estimates, weights, rule)
        assert combined.shape == (n_channels, n_samples)
        assert combined.dtype == np.float32
        np.testing.assert_allclose(combined, whole(estimates, weights, rule), atol=1e-6)


@pytest.mark.parametrize("rule", SPECTRAL)
def test_equal_estimates_come_back(rule):
    estimate = noise(30_000)
    np.testing.assert_allclose(streamed([estimate] * 3, (1, 1, 1), rule), estimate, atol=1e-6)


def test_values_by_hand():
    first, second, third = (np.array([row], np.float32) for row in ([0.5, -0.4, 0.1], [-0.2, 0.4, 0.3], [0.1, 0.2, -1]))
    expected = {
        "avg_wave": [(2 * 0.5 - 0.2 + 0.1) / 4, (-0.8 + 0.4 + 0.2) / 4, (0.2 + 0.3 - 1) / 4],
        "median_wave": [0.1, 0.2, 0.1],
        "min_wave": [0.1, 0.2, 0.1],
        "max_wave": [0.5, -0.4, -1],  # -0.4 and 0.4 are as far: the first
    }
    for rule, values in expected.items():
        np.testing.assert_allclose(streamed([first, second, third], (2, 1, 1), rule), [values], atol=1e-7)


def test_of_equals_the_first_counts_or_the_last():
    """A signal and its inverse are equally loud everywhere."""
    signal = noise(20_000)
    pair = [signal, -signal]
    for rule, expected in (("max_fft", signal), ("min_fft", signal), ("uvr_max_spec", -signal)):
        np.testing.assert_allclose(streamed(pair, (1, 1), rule), expected, atol=1e-6)
    np.testing.assert_allclose(streamed(pair, (1, 1), "uvr_min_spec"), -signal, atol=1e-6)


def test_loud_and_soft_parts_of_the_spectrum():
    """Two sines at different places: the maximum has both, the minimum neither."""
    t = np.arange(44_100) / 44_100
    low, high = (0.5 * np.sin(2 * np.pi * hz * t, dtype=np.float64).astype(np.float32)[None] for hz in (430, 6000))
    both = streamed([low, high], (1, 1), "max_fft")[:, 4000:-4000]
    np.testing.assert_allclose(both, (low + high)[:, 4000:-4000], atol=2e-3)
    assert np.abs(streamed([low, high], (1, 1), "min_fft")[:, 4000:-4000]).max() < 2e-3


def test_phases_of_another():
    """Magnitudes of the first; phases of the first below 500 Hz, of the second above 5 kHz, halfway in the middle."""
    n_bins, rate = 1025, 44_100
    hz = np.linspace(0, rate / 2, n_bins)
    first = np.full((1, 3, n_bins), 2 * np.exp(0.5j), np.complex64)
    second = np.full((1, 3, n_bins), 7 * np.exp(-1.5j), np.complex64)
    fixed = phase_fixed(np.stack([first, second]), rate)
    np.testing.assert_allclose(np.abs(fixed), 2, rtol=1e-5)
    np.testing.assert_allclose(np.angle(fixed[..., hz <= 500]), 0.5, atol=1e-5)
    np.testing.assert_allclose(np.angle(fixed[..., hz >= 5000]), -1.5, atol=1e-5)
    middle = np.abs(hz - 2750).argmin()
    np.testing.assert_allclose(np.angle(fixed[..., middle]), -0.5, atol=0.01)
    silent = phase_fixed(np.stack([first, 0 * second]), rate)
    np.testing.assert_allclose(silent, first, atol=1e-6)
    np.testing.assert_allclose(phase_fixed(np.stack([0 * first, second]), rate), 0)


@pytest.mark.parametrize("n_samples", [1, 5000, 40_000])
def test_phases_of_the_same_change_nothing(n_samples):
    estimate = noise(n_samples)
    for other in (estimate, 3 * estimate):
        np.testing.assert_allclose(streamed([estimate, other], (1, 1), PHASE_FIX), estimate, atol=1e-6)


def test_a_low_tone_keeps_its_phase_and_a_high_one_takes_the_others():
    t = np.arange(44_100) / 44_100
    low, high = (0.5 * np.sin(2 * np.pi * hz * t).astype(np.float32)[None] for hz in (200, 9000))
    fixed = streamed([low + high, -low - high], (1, 1), PHASE_FIX)[:, 4000:-4000]
    np.testing.assert_allclose(fixed, (low - high)[:, 4000:-4000], atol=2e-3)
