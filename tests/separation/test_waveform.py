"""The waveform family, with a network that does what it is told."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.helpers.signals import error_db, noise, tones
from unweave import ConsentError, OptionError, Separator
from unweave.models import consent
from unweave.models.catalog import HTDEMUCS
from unweave.separation.stream import SeparationStream, concatenated
from unweave.separation.waveform import WaveformSeparator, as_channels, from_channels, triangle_weights

SPEC = dataclasses.replace(HTDEMUCS, segment_samples=9000, n_fft=512, hop_length=128)


class Shares:
    """Gives each stem a fixed share, half of it by the spectrum and half by the waveform."""

    SHARES = np.array([0.1, 0.2, 0.3, 0.4], np.float32)

    def run(self, mixture, spectrum):
        shares = self.SHARES[:, None, None] / 2
        return shares[..., None] * spectrum, shares * mixture


def separate(mixture, spec=SPEC, sizes=(5000,)):
    with ThreadPoolExecutor(2) as executor:
        stream = SeparationStream(
            WaveformSeparator(spec, Shares()),
            {name: index for index, name in enumerate(spec.stems)},
            executor,
            3,
            model_rate=44100,
            sample_rate=44100,
            output_rate=44100,
            n_channels=2,
            output_channels=2,
            residual="dropped",
        )
        parts, start = [], 0
        while start < mixture.shape[1]:
            size = sizes[len(parts) % len(sizes)]
            parts.append(stream.push(mixture[:, start : start + size]))
            start += size
        return concatenated([*parts, stream.flush()])


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.1])
@pytest.mark.parametrize("n_samples", [1000, 9000, 50_000])
def test_segments_are_put_together_as_they_were(overlap, n_samples):
    mixture = tones(n_samples)
    stems = separate(mixture, dataclasses.replace(SPEC, overlap=overlap))
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
    separator = WaveformSeparator(HTDEMUCS, Shares())
    spectrum = separator._spectrum(noise(HTDEMUCS.segment_samples))
    assert spectrum.shape == (2, 336, 2048)
    back = separator._waveform(spectrum, HTDEMUCS.segment_samples)
    assert error_db(back, noise(HTDEMUCS.segment_samples)) < -30


def test_consent_is_asked_once(cache, monkeypatch):
    monkeypatch.delenv(consent.VARIABLE, raising=False)
    with pytest.raises(ConsentError, match="--accept_licence"):
        Separator("htdemucs", offline=True)
    with pytest.raises(ConsentError):
        consent.require_consent(HTDEMUCS, accepted=False)
    consent.require_consent(HTDEMUCS, accepted=True)
    assert "htdemucs" in (cache / "consents.json").read_text()
    consent.require_consent(HTDEMUCS, accepted=False)


@pytest.mark.parametrize("value", ["htdemucs", "other, htdemucs", "all"])
def test_consent_by_environment(cache, monkeypatch, value):
    monkeypatch.setenv(consent.VARIABLE, value)
    consent.require_consent(HTDEMUCS, accepted=False)


def test_the_wiener_filter_needs_masks(cache, monkeypatch, tmp_path):
    from unweave.separation import separator

    resolved = separator.resolve("htdemucs")
    monkeypatch.setenv(consent.VARIABLE, "all")
    located = dataclasses.replace(resolved, locate=lambda offline, progress: tmp_path)
    monkeypatch.setattr(separator, "resolve", lambda name: located)
    with pytest.raises(OptionError, match="masking model"):
        Separator("htdemucs", wiener="track")
