import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.signals import noise
from unweave.dsp.stft import analyse, frame_count, hann, istft, stft, synthesis_window, synthesise

SHAPES = [(4096, 1024), (256, 64), (240, 80), (512, 64)]


@settings(deadline=None, max_examples=40)
@given(n_samples=st.integers(1, 20_000), shape=st.sampled_from(SHAPES), seed=st.integers(0, 99))
def test_inverse_gives_back_every_sample(n_samples, shape, seed):
    waveform = noise(n_samples, seed=seed)
    back = istft(stft(waveform, *shape), n_samples, *shape)
    assert back.shape == waveform.shape
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, waveform, atol=2e-6)


def test_is_the_definition():
    waveform = noise(700, n_channels=1)
    n_fft, hop = 256, 64
    spectrum = stft(waveform, n_fft, hop)
    padded = np.concatenate([np.zeros(n_fft), waveform[0], np.zeros(n_fft)]).astype(np.float64)
    kernel = np.exp(-2j * np.pi * np.outer(np.arange(n_fft), np.arange(n_fft // 2 + 1)) / n_fft)
    for frame in range(spectrum.shape[1]):
        expected = (padded[frame * hop : frame * hop + n_fft] * hann(n_fft)) @ kernel
        np.testing.assert_allclose(spectrum[0, frame], expected, atol=1e-4)


@pytest.mark.parametrize("n_samples", [1, 1023, 1024, 1025, 479_832])
def test_frame_count_is_the_originals(n_samples):
    assert frame_count(n_samples, 4096, 1024) == int(np.ceil((n_samples + 4096) / 1024))
    if n_samples < 10_000:
        assert stft(noise(n_samples)).shape[1] == frame_count(n_samples, 4096, 1024)


@settings(deadline=None, max_examples=25)
@given(split=st.integers(1, 40), seed=st.integers(0, 99))
def test_in_pieces_equals_in_one_shot(split, seed):
    """Two runs of frames overlap by n_fft − hop samples; added there, they are the whole."""
    n_fft, hop = 256, 64
    samples = noise((41 - 1) * hop + n_fft, seed=seed)
    whole = analyse(samples, n_fft, hop)
    first = analyse(samples[:, : (split - 1) * hop + n_fft], n_fft, hop)
    second = analyse(samples[:, split * hop :], n_fft, hop) if split < 41 else whole[:, :0]
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    joined = np.zeros_like(samples)
    joined[:, : first.shape[1] * hop + n_fft - hop] += synthesise(first, n_fft, hop)
    if split < 41:
        joined[:, split * hop :] += synthesise(second, n_fft, hop)
    np.testing.assert_allclose(joined, synthesise(whole, n_fft, hop), atol=1e-6)


def test_missing_bins_are_silent():
    spectrum = stft(noise(5000))
    zeroed = spectrum.copy()
    zeroed[..., 1024:] = 0
    np.testing.assert_allclose(istft(spectrum[..., :1024], 5000), istft(zeroed, 5000), atol=1e-7)


def test_input_is_not_changed():
    waveform = noise(5000)
    before = waveform.copy()
    stft(waveform)
    np.testing.assert_array_equal(waveform, before)


@pytest.mark.parametrize(("n_fft", "hop"), [(4096, 4096), (4096, 2048), (4096, 1000)])
def test_a_hop_that_cannot_be_inverted_is_an_error(n_fft, hop):
    with pytest.raises(ValueError, match="hop_length"):
        synthesis_window(n_fft, hop)
