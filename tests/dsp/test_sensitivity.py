"""What stems share goes to the more sensitive one, and their sum stays what it was."""

from itertools import pairwise

import numpy as np
import pytest

from tests.helpers.signals import SAMPLE_RATE, error_db, noise
from unweave.dsp.sensitivity import reshared, shared_anew
from unweave.types import Stems

N = 40_000
RNG = np.random.default_rng(0)


def spectra(n_stems=3):
    shape = (n_stems, 2, 4, 9)
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64)


def shares(stems):
    power = (np.abs(stems) ** 2).sum(axis=1)
    return power / power.sum(axis=0)


def weights(*sensitivities):
    return np.array([10 ** (4 * s - 2) for s in sensitivities], np.float32)


def plain(stems, given):
    """One bin after another, in the words of the docstring."""
    result = stems.astype(np.complex128)
    for frame, bin in np.ndindex(stems.shape[2:]):
        values = stems[:, :, frame, bin]
        share = shares(stems)[:, frame, bin]
        total = sum(given * share)
        new = given * share / total
        for i in range(len(stems)):
            result[i, :, frame, bin] = values[i] * min(1, given[i] / total)
        growth = np.maximum(new - share, 0)
        for j in range(len(stems)):
            result[:, :, frame, bin] += np.outer(growth / growth.sum(), values[j] * (1 - min(1, given[j] / total)))
    return result


@pytest.mark.parametrize("sensitivities", [(0.7, 0.5, 0.5), (0.2, 0.5, 0.5), (1, 0, 0.5), (0.6, 0.5, 0.4)])
def test_bins_are_shared_as_is_said(sensitivities):
    stems = spectra()
    np.testing.assert_allclose(
        shared_anew(stems, weights(*sensitivities)), plain(stems, weights(*sensitivities)), atol=2e-6
    )


def test_two_equal_stems_by_hand():
    """Of two equal stems the one that counts 8 dB louder keeps all, and the other the fraction 1 / D of its own."""
    stems = np.ones((2, 1, 1, 1), np.complex64)
    loud = 10**0.8
    kept = 2 / (loud + 1)
    np.testing.assert_allclose(shared_anew(stems, weights(0.7, 0.5)).ravel(), [2 - kept, kept], rtol=1e-6)


@pytest.mark.parametrize("level", [1, 1e-4, 1e-15, 0])
def test_the_sum_stays_whatever_the_levels(level):
    stems = spectra()
    stems[1:] *= level
    anew = shared_anew(stems, weights(0.9, 0.5, 0.1))
    assert np.isfinite(anew).all()
    np.testing.assert_allclose(anew.sum(axis=0), stems.sum(axis=0), atol=1e-6)


def test_more_sensitivity_is_more_of_what_is_shared():
    """As the docstring has it for shares; the power that a stem keeps follows where the others have nothing to give."""
    stems = spectra()
    steps = [weights(s, 0.5, 0.4) for s in np.linspace(0, 1, 11)]
    new = [w[:, None, None] * shares(stems) / np.tensordot(w, shares(stems), 1) for w in steps]
    assert (np.diff([each[0] for each in new], axis=0) > 0).all()
    assert (np.diff([each[1:] for each in new], axis=0) < 0).all()
    # A stem that gives up has exactly its new share's fraction of the old one.
    anew = shared_anew(stems, steps[0])
    np.testing.assert_allclose(anew[0], stems[0] * (new[0][0] / shares(stems)[0]), rtol=1e-5)
    powers = [(np.abs(shared_anew(stems, w)[0]) ** 2).sum() for w in steps[:5]]
    assert (np.diff(powers) > 0).all()


def test_what_is_alone_stays_and_silence_is_silent():
    stems = spectra()
    stems[1:, :, 0] = 0
    stems[:, :, 1] = 0
    anew = shared_anew(stems, weights(0, 1, 0.5))
    np.testing.assert_allclose(anew[:, :, :2], stems[:, :, :2], rtol=1e-6)


def test_the_stereo_image_of_what_a_stem_keeps_does_not_move():
    stems = spectra()
    anew = shared_anew(stems, weights(0.1, 0.5, 0.5))
    np.testing.assert_allclose(anew[0, 0] / anew[0, 1], stems[0, 0] / stems[0, 1], rtol=1e-4)


def song(n_channels=2, n_samples=N):
    names = ("vocals", "drums", "other")
    return Stems({name: noise(n_samples, n_channels, seed=k) for k, name in enumerate(names)}, SAMPLE_RATE)


def in_parts(stems, *edges):
    for start, stop in pairwise((0, *edges, stems.n_samples)):
        yield Stems({name: stem[:, start:stop] for name, stem in stems.items()}, stems.sample_rate)


def joined(parts):
    parts = list(parts)
    assert {part.sample_rate for part in parts} == {SAMPLE_RATE}
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


@pytest.mark.parametrize("sensitivities", [{}, {"vocals": 0.5}, {"vocals": 0.8, "drums": 0.8, "other": 0.8}])
def test_nothing_that_is_as_sensitive_as_the_rest_changes_by_a_bit(sensitivities):
    parts = list(in_parts(song(), 1000))
    assert all(one is other for one, other in zip(reshared(parts, sensitivities), parts, strict=True))


@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_song_in_parts_is_the_song_at_once(n_channels):
    stems = song(n_channels)
    whole = joined(reshared([stems], {"vocals": 0.8}))
    for name, stem in joined(reshared(in_parts(stems, 0, 1, 30_000), {"vocals": 0.8})).items():
        np.testing.assert_array_equal(stem, whole[name])
        assert stem.shape == (n_channels, N)


def test_the_sum_of_the_song_stays_and_the_sensitive_stem_grows():
    stems = song()
    anew = joined(reshared(in_parts(stems, 20_000), {"vocals": 0.7}))
    assert error_db(sum(anew.values()), sum(stems.values())) < -120
    levels = {name: np.linalg.norm(anew[name]) / np.linalg.norm(stems[name]) for name in stems}
    assert levels["vocals"] > 1.1
    assert levels["drums"] < 0.75
    assert levels["other"] < 0.75


def test_a_song_without_samples_and_no_song():
    assert list(reshared([], {"vocals": 1})) == []
    assert joined(reshared([song(n_samples=0)], {"vocals": 1}))["vocals"].shape == (2, 0)
