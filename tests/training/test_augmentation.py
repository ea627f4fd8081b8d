"""Each change does what its name says, to the share that was asked for, the same each time."""

import dataclasses

import numpy as np
import pytest
import torch

from unweave.training import augmentation
from unweave.training.augmentation import Augmentation
from unweave.training.plan import AugmentationPlan

RATE = 44100
STEMS = ("vocals", "drums", "bass")
NOTHING = AugmentationPlan(
    remix=0, absent=0, gain_db=(0, 0), pan=0, channel_swap=0, polarity=0, equaliser=0, compression=0, bandwidth=0,
    codec=0,
)  # fmt: skip


def batch(n_segments=6, n_samples=32768):
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(n_segments, 3, 2, n_samples, generator=generator)


def augmented(stems, **options):
    return Augmentation(dataclasses.replace(NOTHING, **options), STEMS, RATE, seed=4)(stems, step=2)


def test_nothing_changes_nothing():
    torch.testing.assert_close(augmented(batch()), batch())


@pytest.mark.parametrize(
    "name",
    ["speed", "pitch", "tempo", "equaliser", "compression", "bandwidth", "codec", "pan", "polarity"],
)
def test_changes_are_reproducible_and_spare_the_rest(name):
    stems = batch()
    once, again = augmented(stems, **{name: 0.5}), augmented(stems, **{name: 0.5})
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    assert once.shape == stems.shape
    assert torch.isfinite(once).all()
    unchanged = torch.isclose(once, stems, atol=1e-5).flatten(2).all(2).flatten()
    assert 0 < int(unchanged.sum()) < unchanged.numel()
    other = Augmentation(dataclasses.replace(NOTHING, **{name: 0.5}), STEMS, RATE, seed=5)(stems, step=2)
    assert not torch.equal(other, once)


def test_gain_stays_in_its_range():
    gains = (augmented(batch(), gain_db=(-9, 6)) / batch()).flatten(2)[..., 0]
    levels = 20 * gains.abs().log10()
    assert levels.min() >= -9.01
    assert levels.max() <= 6.01
    assert levels.std() > 1


def test_channel_swap_and_polarity():
    torch.testing.assert_close(augmented(batch(), channel_swap=1.0), batch().flip(2))
    torch.testing.assert_close(augmented(batch(), polarity=1.0), -batch())


def peak_hz(signal):
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    return np.argmax(spectrum) * RATE / len(signal)


@pytest.mark.parametrize(
    ("change", "pitch", "tempo"),
    [(augmentation._resampled, 1.25, 1.25), (augmentation._stretched, 1.0, 1.25), (augmentation._pitched, 1.25, 1.0)],
)
def test_speed_pitch_and_tempo(change, pitch, tempo):
    t = torch.arange(2 * RATE) / RATE
    tone = torch.sin(2 * torch.pi * 440 * t).expand(1, 2, -1)
    assert peak_hz(change(tone, [1.25])[0, 0].numpy()[4096:40960]) == pytest.approx(440 * pitch, rel=0.01)
    clicks = torch.zeros(1, 2, 2 * RATE)
    clicks[..., 22050] = 1.0
    place = int(change(clicks, [1.25])[0, 0, :30000].abs().argmax())
    assert place == pytest.approx(22050 / tempo, abs=600)


def test_bandwidth_ends_somewhere():
    spectrum = torch.fft.rfft(augmented(batch(), bandwidth=1.0)).abs().mean((1, 2))
    frequencies = np.linspace(0, RATE / 2, spectrum.shape[-1])
    for row in spectrum.numpy():
        assert row[frequencies > 17_000].max() < 1e-3 * row[frequencies < 3_000].mean()


def test_the_codec_takes_from_all_stems_at_once():
    stems = batch()
    coded = augmented(stems, codec=1.0)
    lost_mixture = (stems.sum(1) - coded.sum(1)).square().mean()
    assert 0 < lost_mixture < 0.05 * stems.sum(1).square().mean()
    # What is lost is decided by the mixture alone, and lost from each stem: however the same mixture is spread over the
    # stems, the same of it is left; a codec for each stem would keep other parts of each.
    spread = torch.stack([stems.sum(1) - stems[:, 0] / 2, stems[:, 0] / 2, torch.zeros_like(stems[:, 0])], dim=1)
    coded_spread = augmented(spread, codec=1.0)
    torch.testing.assert_close(coded_spread.sum(1), coded.sum(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(coded_spread[:, 1], coded[:, 0] / 2, rtol=0, atol=1e-5)
    assert coded_spread[:, 2].abs().max() == 0
    lost = (stems - coded).square().mean((0, 2, 3))
    assert lost.min() > 0.5 * lost.max()


def test_compression_narrows_the_dynamics():
    t = torch.arange(RATE) / RATE
    loud_and_quiet = (torch.sin(2 * torch.pi * 200 * t) * torch.where(t < 0.5, 0.8, 0.05)).expand(1, 2, -1)
    squeezed = augmentation._compressed(loud_and_quiet, torch.Generator().manual_seed(0))
    ratio = [x[..., 4000:20000].std() / x[..., 26000:42000].std() for x in (loud_and_quiet, squeezed)]
    assert ratio[1] < 0.7 * ratio[0]


def test_saturation_rounds_the_peaks_and_keeps_the_level():
    stems = batch()
    driven = augmented(stems, saturation=dict.fromkeys(STEMS, 1.0))
    torch.testing.assert_close(driven.square().mean((2, 3)), stems.square().mean((2, 3)), rtol=1e-3, atol=0)
    assert (driven.abs().amax((2, 3)) < 0.999 * stems.abs().amax((2, 3))).all()
    assert driven.abs().amax((2, 3)).min() < 0.5 * stems.abs().amax((2, 3)).min()


def test_saturation_is_for_the_stems_that_are_named():
    stems = batch()
    driven = augmented(stems, saturation={"drums": 0.5})
    changed = ~torch.isclose(driven, stems, atol=1e-5).flatten(2).all(2)
    assert not changed[:, [0, 2]].any()
    assert 0 < int(changed[:, 1].sum()) < len(stems)


def test_stems_are_taken_as_often_as_planned():
    plan = dataclasses.replace(NOTHING, taken={"vocals": 0.6})
    taken = torch.cat([Augmentation(plan, STEMS, RATE, seed=1).taken(8, step) for step in range(100)])
    assert not taken[:, 1].any()
    assert float(taken[:, 0].float().mean()) == pytest.approx(0.6, abs=0.06)
