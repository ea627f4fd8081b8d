"""Spectral figures: values by hand, and those that the training code gives for the same signals."""

import numpy as np
import pytest

from tests.helpers.signals import noise, song
from unweave.dsp.mel import mel_filters
from unweave.evaluation import spectral
from unweave.evaluation.spectral import bleedless_fullness, l1_freq, log_spectral_distance

SIX_DB = 20 * np.log10(2)


def test_twice_as_loud_is_six_decibels_more():
    reference = noise(30_000)
    bleedless, fullness = bleedless_fullness(reference, 2 * reference, 44100)
    assert bleedless == pytest.approx(100 / (1 + SIX_DB), rel=1e-5)
    assert fullness == 100
    bleedless, fullness = bleedless_fullness(reference, reference / 2, 44100)
    assert bleedless == 100
    assert fullness == pytest.approx(100 / (1 + SIX_DB), rel=1e-5)


def test_nothing_that_is_there_bleeds_and_all_of_it_is_missing():
    """Silence is −200 dB, and the reference at most 80 dB below its loudest band."""
    reference = noise(30_000)
    bleedless, fullness = bleedless_fullness(reference, 0 * reference, 44100)
    assert bleedless == 100
    assert fullness < 100 / (1 + 100)


def test_one_click_by_hand():
    """Of a click of 0.5 each bin of the two frames around it has a magnitude of 0.5; there are 11 frames."""
    reference = np.zeros((1, 10 * 1024), np.float32)
    estimate = reference.copy()
    estimate[0, 5 * 1024 + 17] = 0.5
    assert l1_freq(reference, estimate) == pytest.approx(100 / (1 + 10 * 0.5 * 2 / 11), rel=1e-6)


def test_distances_by_hand():
    reference = noise(30_000)
    assert log_spectral_distance(reference, reference) == 0
    assert log_spectral_distance(reference, 10 * reference) == pytest.approx(20, abs=1e-4)
    # Two channels, one of which is 6 dB off: 0 and 6 in turn.
    halved = reference * np.array([[1], [0.5]], np.float32)
    assert log_spectral_distance(reference, halved) == pytest.approx(SIX_DB / 2, abs=1e-4)
    # Silence is taken for 80 dB below the loudest bin.
    assert 40 < log_spectral_distance(reference, 0 * reference) < 80


def test_figures_of_the_training_code():
    """ZFTurbo's ``utils/metrics.py`` (November 2026) with PyTorch 2.13 and librosa 0.11 gave these."""
    music = song(8.0)
    for estimate, expected in (
        (music + 0.02 * noise(music.shape[1]), (16.15031, 64.280815, 65.922178)),
        (0.7 * music, (100.0, 24.401907, 19.105054)),
    ):
        reference = music if expected[0] < 100 else music[:1]
        estimate = estimate[: len(reference)]
        found = (*bleedless_fullness(reference, estimate, 44100), l1_freq(reference, estimate))
        assert found == pytest.approx(expected, rel=2e-5)


def test_blocks_of_frames_change_nothing(monkeypatch):
    reference, estimate = noise(30_000), noise(30_000, seed=1)

    def figures():
        return (
            *bleedless_fullness(reference, estimate, 48000),
            l1_freq(reference, estimate),
            log_spectral_distance(reference, estimate),
        )

    at_once = figures()
    monkeypatch.setattr(spectral, "FRAMES_AT_ONCE", 7)
    assert figures() == pytest.approx(at_once, rel=1e-6)


def test_mel_filters_have_one_area():
    """librosa's ``mel(sr=44100, n_fft=4096, n_mels=128)``: triangles of area 1 over Hz, the first from 0 Hz on."""
    filters = mel_filters(128, 4096, 44100)
    assert filters.shape == (128, 2049)
    areas = filters.sum(axis=1) * 44100 / 4096
    np.testing.assert_allclose(areas[60:], 1, atol=0.02)
    assert filters[0, 0] == 0
    assert filters.min() == 0
