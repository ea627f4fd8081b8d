"""The waveform family, with a network that does what it is told."""

import dataclasses
import importlib.util
import json
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from tests.helpers.signals import error_db, noise, tones
from unweave import ConsentError, OptionError, Separator
from unweave.dsp.real_parts import as_channels, from_channels
from unweave.families.base import Loaded
from unweave.families.demucs.recipe import HybridSeparator, triangle_weights
from unweave.families.demucs.spectrum import spectrum_of, waveform_of
from unweave.families.htdemucs.spec import HTDemucsSpec
from unweave.models import consent
from unweave.models.catalogue.official import find_spec
from unweave.separation.stream import SegmentStream, StreamFormat, concatenated
from unweave.separation.workers import Workers

SPEC = dataclasses.replace(find_spec("htdemucs"), segment_samples=9000, n_fft=512, hop_length=128)
NETWORK = HTDemucsSpec(segment_samples=9000, n_fft=512)


class Shares:
    """Gives each stem a fixed share, half of it by the spectrum and half by the waveform."""

    SHARES = np.array([0.1, 0.2, 0.3, 0.4], np.float32)

    def run(self, mixture, spectrum):
        shares = self.SHARES[:, None, None] / 2
        return shares[..., None] * spectrum, shares * mixture


def separate(mixture, overlap=0.25, sizes=(5000,)):
    workers = Workers(2, "test")
    stream = SegmentStream(
        HybridSeparator(NETWORK, Shares(), overlap=overlap),
        {name: index for index, name in enumerate(NETWORK.stems)},
        workers,
        3,
        model_rate=44100,
        form=StreamFormat(44100, 2, 44100, 2),
    )
    parts, start = [], 0
    while start < mixture.shape[1]:
        size = sizes[len(parts) % len(sizes)]
        parts.append(stream.push(mixture[:, start : start + size]))
        start += size
    stems = concatenated([*parts, *stream.drain()])
    workers.close()
    return stems


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.1])
@pytest.mark.parametrize("n_samples", [1000, 9000, 50_000])
def test_segments_are_put_together_as_they_were(overlap, n_samples):
    mixture = tones(n_samples)
    stems = separate(mixture, overlap)
    for share, stem in zip(Shares.SHARES, stems.values(), strict=True):
        assert stem.shape == mixture.shape
        # The spectrum lacks its highest bin and the frames at its ends, as in the original.
        assert error_db(stem, share * mixture) < -35


def test_blocks_do_not_matter():
    mixture = noise(40_000)
    whole, pieces = separate(mixture), separate(mixture, sizes=(700, 13_000))
    for name, stem in whole.items():
        np.testing.assert_array_equal(pieces[name], stem)


def test_silence_stays_silent():
    assert all(np.abs(stem).max() == 0 for stem in separate(np.zeros((2, 20_000), np.float32)).values())


def test_spectra_as_channels_and_back():
    random = np.random.default_rng(0)
    spectrum = (random.standard_normal((2, 5, 7)) + 1j * random.standard_normal((2, 5, 7))).astype(np.complex64)
    channels = as_channels(spectrum)
    assert channels.shape == (4, 7, 5)
    np.testing.assert_array_equal(channels[0], spectrum[0].real.T)
    np.testing.assert_array_equal(channels[3], spectrum[1].imag.T)
    np.testing.assert_array_equal(from_channels(channels), spectrum)


@pytest.mark.parametrize(("length", "hop"), [(100, 75), (343_980, 257_985), (100, 50), (99, 80)])
def test_weights_sum_to_one(length, hop):
    weights = triangle_weights(length, hop)
    total = np.zeros(6 * length)
    for start in range(0, 5 * length, hop):
        total[start : start + length] += weights
    np.testing.assert_allclose(total[length : 4 * length], 1, rtol=1e-5)


def test_the_spectrum_has_the_published_shape():
    spec = HTDemucsSpec()
    mixture = noise(spec.segment_samples)
    spectrum = spectrum_of(mixture, spec)
    assert spectrum.shape == (2, 336, 2048)
    assert error_db(waveform_of(spectrum, spec), mixture) < -30


def test_consent_is_asked_once(cache, monkeypatch):
    monkeypatch.delenv(consent.VARIABLE, raising=False)
    with pytest.raises(ConsentError, match="--accept_licence"):
        Separator("htdemucs", offline=True)
    with pytest.raises(ConsentError):
        consent.require_consent(find_spec("htdemucs"), accepted=False)
    consent.require_consent(find_spec("htdemucs"), accepted=True)
    (when,) = json.loads((cache / "consents.json").read_text()).values()
    assert datetime.now(timezone.utc) - datetime.fromisoformat(when) < timedelta(minutes=10)
    consent.require_consent(find_spec("htdemucs"), accepted=False)


@pytest.mark.parametrize("value", ["", "other", "htdemucs2", "htdemucs other", "All"])
def test_the_environment_consents_to_something_else(cache, monkeypatch, value):
    monkeypatch.setenv(consent.VARIABLE, value)
    with pytest.raises(ConsentError):
        consent.require_consent(find_spec("htdemucs"), accepted=False)
    assert not (cache / "consents.json").exists()


def test_a_damaged_note_of_consents_is_none(cache, monkeypatch):
    monkeypatch.delenv(consent.VARIABLE, raising=False)
    cache.mkdir()
    for kept in ("[]", "{", '"htdemucs"'):
        (cache / "consents.json").write_text(kept)
        with pytest.raises(ConsentError):
            consent.require_consent(find_spec("htdemucs"), accepted=False)
    (cache / "consents.json").write_text('{"other": "2026-01-01T00:00:00+00:00"}')
    consent.require_consent(find_spec("htdemucs"), accepted=True)
    assert list(json.loads((cache / "consents.json").read_text())) == ["other", "htdemucs"]


@pytest.mark.parametrize("value", ["htdemucs", "other, htdemucs", "all"])
def test_consent_by_environment(cache, monkeypatch, value):
    monkeypatch.setenv(consent.VARIABLE, value)
    consent.require_consent(find_spec("htdemucs"), accepted=False)


def loaded_htdemucs(monkeypatch):
    loaded = Loaded(SPEC, HybridSeparator(NETWORK, Shares()), n_parallel=1)
    monkeypatch.setattr("unweave.separation.separator.load", lambda model, options: loaded)


def test_the_wiener_filter_needs_masks(monkeypatch):
    loaded_htdemucs(monkeypatch)
    with pytest.raises(OptionError, match="masking model"):
        Separator("htdemucs", wiener="track")


def test_what_is_left_of_the_mixture_goes_to_other_and_not_to_the_last_stem(monkeypatch):
    loaded_htdemucs(monkeypatch)
    mixture = tones(30_000)
    exact = Separator("htdemucs", quality="exact").separate(mixture, 44100)
    stems = Separator("htdemucs").separate(mixture, 44100)
    assert error_db(sum(stems.values()), mixture) < -120
    for name in ("drums", "bass", "vocals"):
        np.testing.assert_array_equal(stems[name], exact[name])
    assert error_db(sum(exact.values()), mixture) > -60  # the toy's spectrum lacks a bin, so that something is left
    alone = Separator("htdemucs").separate(mixture, 44100, stems=["vocals", "other"])
    assert list(alone) == ["vocals", "other"]
    for name, stem in alone.items():  # whichever others are asked for
        np.testing.assert_array_equal(stem, stems[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:9"}, "no device cuda:9 here"),
        ({"precision": "bfloat16"}, "precision bfloat16 on the CPU needs"),
        (
            {"precision": "float16", "device": "cpu"},
            "precision float16 is for graphics cards; on the CPU take bfloat16",
        ),
    ],
)
def test_devices_and_precisions_that_it_cannot_run_in_are_refused(cache, monkeypatch, options, message):
    """Before anything is fetched; OpenVINO is not installed."""
    monkeypatch.setenv(consent.VARIABLE, "all")
    is_there = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "openvino" else is_there(name))
    with pytest.raises(OptionError, match=message):
        Separator("htdemucs", offline=True, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "expected one of the devices"),
        ({"device": "cpu:1"}, "expected one of the devices"),
        ({"device": "cuda:x"}, "expected one of the devices"),
        ({"device": None}, "expected one of the devices"),
        ({"precision": "int3"}, "expected one of the precisions"),
    ],
)
@pytest.mark.parametrize("model", ["htdemucs", "unweave:4stems"])
def test_devices_and_precisions_that_do_not_exist(cache, monkeypatch, options, message, model):
    monkeypatch.setenv(consent.VARIABLE, "all")
    with pytest.raises(OptionError, match=message):
        Separator(model, offline=True, **options)
