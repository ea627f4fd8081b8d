import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.signals import noise
from unweave.dsp.stft import (
    add_frames,
    analyse,
    frame_count,
    hann,
    istft,
    rectangle,
    stft,
    synthesis_window,
    synthesise,
)

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


def test_windows():
    np.testing.assert_allclose(hann(4), [0, 0.5, 1, 0.5], atol=1e-7)
    np.testing.assert_array_equal(rectangle(3), [1, 1, 1])
    # Σ Hann² over frames a quarter apart is 3/2; a sixth apart, 9/4.
    np.testing.assert_allclose(synthesis_window(16, 4), hann(16) / 1.5, rtol=1e-6)
    np.testing.assert_allclose(synthesis_window(24, 4), hann(24) / 2.25, rtol=1e-6)
    np.testing.assert_allclose(synthesis_window(24, 8), hann(24) / 1.125, rtol=1e-6)


@pytest.mark.parametrize("make", [lambda: hann(8), lambda: rectangle(8), lambda: synthesis_window(8, 2)])
def test_windows_are_kept_and_cannot_be_changed(make):
    window = make()
    assert make() is window
    assert window.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        window[0] = 1


def test_only_the_lowest_bins_into_an_array_that_is_there():
    samples = noise(2000)
    whole = analyse(samples, 256, 64)
    assert whole.shape == (2, 28, 129)
    lowest = np.full((2, 28, 100), 7 + 7j, np.complex64)
    assert analyse(samples, 256, 64, n_bins=100, out=lowest) is lowest
    np.testing.assert_array_equal(lowest, whole[..., :100])
    other = np.zeros((2, 27, 100), np.complex64)
    made = analyse(samples, 256, 64, n_bins=100, out=other)  # of another length: one of its own
    np.testing.assert_array_equal(made, lowest)
    assert not other.any()


def test_frames_are_added_to_what_is_there():
    spectrum = stft(noise(300, level=1), 64, 16)
    samples = np.ones((2, 64 + 16 * (spectrum.shape[1] + 4)), np.float32)
    add_frames(samples, 5, spectrum, 64, 16)
    alone = synthesise(spectrum, 64, 16)
    assert alone.shape[1] == 48 + 16 * spectrum.shape[1]
    np.testing.assert_array_equal(samples[:, :80], 1)
    np.testing.assert_allclose(samples[:, 80:], 1 + alone, atol=1e-6)
