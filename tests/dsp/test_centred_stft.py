import numpy as np
import pytest

from tests.helpers.signals import noise
from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.dsp.stft import FRAMES_AT_ONCE, hann, rectangle

N_FFT = 24


def reflected(samples, half):
    """Both ends folded back, without the sample at the fold twice, as PyTorch's ``reflect`` has it."""
    return np.concatenate([samples[1 : half + 1][::-1], samples, samples[-half - 1 : -1][::-1]])


@pytest.mark.parametrize("window", [hann, rectangle])
@pytest.mark.parametrize(("hop", "n_samples"), [(6, 60), (5, 61), (7, 13), (3, 6 * FRAMES_AT_ONCE + 5)])
def test_is_the_definition(window, hop, n_samples):
    samples = noise(n_samples, level=1)
    spectrum = centred_stft(samples, N_FFT, hop, window)
    assert spectrum.shape == (2, 1 + n_samples // hop, N_FFT // 2 + 1)
    kernel = np.exp(-2j * np.pi * np.outer(np.arange(N_FFT), np.arange(N_FFT // 2 + 1)) / N_FFT)
    padded = [reflected(channel.astype(np.float64), N_FFT // 2) for channel in samples]
    for frame in range(spectrum.shape[1]):
        pieces = np.stack([channel[frame * hop : frame * hop + N_FFT] for channel in padded])
        np.testing.assert_allclose(spectrum[:, frame], (pieces * window(N_FFT)) @ kernel, atol=1e-4)


@pytest.mark.parametrize("window", [hann, rectangle])
@pytest.mark.parametrize("hop", [3, 5, 8, 12])
def test_the_inverse_gives_back_every_sample_that_frames_reach(window, hop):
    n_samples = 3 * FRAMES_AT_ONCE * hop + 2
    samples = noise(n_samples, level=1)
    back = centred_istft(centred_stft(samples, N_FFT, hop, window), n_samples, N_FFT, hop, window)
    assert (back.shape, back.dtype) == (samples.shape, np.float32)
    np.testing.assert_allclose(back, samples, atol=1e-5)


def test_any_number_of_leading_axes():
    samples = noise(100, n_channels=6).reshape(3, 2, 100)
    spectrum = centred_stft(samples, N_FFT, 6)
    np.testing.assert_array_equal(spectrum[2], centred_stft(samples[2], N_FFT, 6))
    np.testing.assert_allclose(centred_istft(spectrum, 100, N_FFT, 6), samples, atol=1e-6)


def test_what_no_frame_reaches_is_zero():
    spectrum = centred_stft(noise(60, level=1), N_FFT, 6)[:, :3]
    samples = centred_istft(spectrum, 60, N_FFT, 6, rectangle)
    assert samples.shape == (2, 60)
    reached = 2 * 6 + N_FFT // 2  # the last frame's centre, and half a frame
    assert (samples[:, :reached] != 0).all()
    assert (samples[:, reached:] == 0).all()


def test_the_windows_zero_divides_nothing():
    """A periodic Hann window begins with a zero; where only that reaches a sample, the sample is zero."""
    n_samples = 2 * N_FFT - N_FFT // 2 + 1
    samples = centred_istft(np.ones((1, 2, N_FFT // 2 + 1), np.complex64), n_samples, N_FFT, N_FFT)
    assert np.isfinite(samples).all()
    assert samples[0, N_FFT // 2] == 0


def test_the_spectrum_is_not_changed():
    spectrum = centred_stft(noise(100), N_FFT, 6)
    before = spectrum.copy()
    centred_istft(spectrum, 100, N_FFT, 6)
    np.testing.assert_array_equal(spectrum, before)
