import numpy as np
import pytest

from tests.helpers.signals import noise
from unweave.audio.channels import HALF_POWER, USUAL_SPEAKERS, to_mono, to_stereo
from unweave.errors import AudioReadError


def test_mono_is_duplicated():
    mono = noise(10, 1)
    np.testing.assert_array_equal(to_stereo(mono), [mono[0], mono[0]])


def test_stereo_passes():
    stereo = noise(10)
    assert to_stereo(stereo) is stereo


def test_surround_follows_bs_775():
    surround = noise(10, 6)
    left = surround[0] + HALF_POWER * surround[2] + HALF_POWER * surround[4]
    right = surround[1] + HALF_POWER * surround[2] + HALF_POWER * surround[5]
    np.testing.assert_allclose(to_stereo(surround), np.stack([left, right]) / (1 + 2 * HALF_POWER), rtol=1e-5)


@pytest.mark.parametrize("n_channels", USUAL_SPEAKERS)
def test_full_scale_stays_in_range(n_channels):
    assert np.abs(to_stereo(np.ones((n_channels, 3), np.float32))).max() <= 1 + 1e-6


def test_named_speakers_go_first():
    swapped = to_stereo(noise(10, 3), ("FR", "FL", "LFE"))
    np.testing.assert_allclose(swapped, noise(10, 3)[[1, 0]])


def test_too_many_channels():
    with pytest.raises(AudioReadError, match="1 to 8 channels"):
        to_stereo(noise(10, 12))


def test_mono_is_the_mean():
    np.testing.assert_allclose(to_mono(np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)), [[0.5, 0.5]])
