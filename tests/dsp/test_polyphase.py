from math import gcd

import numpy as np
import pytest

from tests.helpers.signals import noise
from unweave.dsp.polyphase import resample_segment

RATES = [(44100, 7350), (44100, 33075), (22050, 44100), (11025, 14700), (32000, 44100)]


def definition(channel, up, down):
    """Zeros between the samples, the whole filter over all of them, and every ``down``-th of what comes out."""
    longest = max(up, down)
    t = np.arange(-10 * longest, 10 * longest + 1)
    taps = np.sinc(t / longest) * np.kaiser(len(t), 5.0)
    spread = np.zeros(len(channel) * up)
    spread[::up] = channel
    return np.convolve(spread, taps * up / taps.sum())[10 * longest :][: len(spread)][::down]


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
@pytest.mark.parametrize("n_samples", [1, 50, 997])
def test_is_the_definition(rate_in, rate_out, n_samples):
    wave = noise(n_samples)
    common = gcd(rate_in, rate_out)
    expected = [definition(channel, rate_out // common, rate_in // common) for channel in wave]
    np.testing.assert_allclose(resample_segment(wave, rate_in, rate_out), expected, atol=1e-6)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_a_tone_stays_the_same_tone(rate_in, rate_out):
    n_samples = rate_in // 5
    tone = np.sin(2 * np.pi * 440 * np.arange(n_samples) / rate_in).astype(np.float32)[None]
    resampled = resample_segment(tone, rate_in, rate_out)
    expected = np.sin(2 * np.pi * 440 * np.arange(resampled.shape[1]) / rate_out)
    middle = slice(200, -200)  # the ends ring where silence begins
    np.testing.assert_allclose(resampled[0, middle], expected[middle], atol=2e-3)
    assert resampled.dtype == np.float32


def test_the_same_rate_is_left_alone():
    wave = noise(10)
    assert resample_segment(wave, 44100, 44100) is wave
