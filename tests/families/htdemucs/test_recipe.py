"""Transforms, levels, and segments, with a network that does what it is told."""

import numpy as np
import pytest

from tests.families.demucs.checks import Graph
from tests.families.htdemucs.small import SPECS, random_weights, signal
from tests.helpers.signals import error_db, noise
from unweave.dsp.real_parts import as_channels, from_channels
from unweave.dsp.segments import SegmentCutter, SegmentJoiner
from unweave.errors import OptionError
from unweave.families.demucs.recipe import HybridSeparator, TrackMeter, Window, triangle_weights, windows
from unweave.families.demucs.spectrum import spectrum_of, waveform_of
from unweave.families.htdemucs.graph import build_graph
from unweave.families.htdemucs.recipe import separate_track
from unweave.families.htdemucs.spec import HTDemucsSpec

SPEC = SPECS["four"]


class Shares:
    """Gives each stem a fixed share, half of it by the spectrum and half by the waveform; counts its calls."""

    def __init__(self, shares=(0.1, 0.2, 0.3, 0.4)):
        self.shares = np.array(shares, np.float32)
        self.n_runs = 0

    def run(self, mixture, spectrum):
        self.n_runs += 1
        shares = self.shares[:, None, None] / 2
        return shares[..., None] * spectrum, shares * mixture


@pytest.fixture(scope="module")
def network():
    return Graph(build_graph(SPEC, random_weights(SPEC)))


def stream(separator, mixture, stems=(0, 1, 2, 3), block=1234):
    """Block after block through a separator."""
    cutter, joiner = SegmentCutter(separator.segmentation, len(mixture)), SegmentJoiner(separator.segmentation)
    segments = []
    for start in range(0, mixture.shape[1], block):
        segments += list(cutter.push(mixture[:, start : start + block]))
    segments += list(cutter.flush())
    joined = [joiner.push(separator.separate(part, stems, is_first=k == 0)) for k, part in enumerate(segments)]
    return np.concatenate(joined, axis=-1)[..., : mixture.shape[1]]


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.1])
@pytest.mark.parametrize("n_samples", [1000, 3000, 20_000])
def test_segments_are_put_together_as_they_were(overlap, n_samples):
    mixture, network = signal(n_samples), Shares()
    mixture -= mixture.mean(axis=1, keepdims=True)
    stems = stream(HybridSeparator(SPEC, network, overlap=overlap), mixture)
    assert network.n_runs == -(-n_samples // (3000 - round(3000 * overlap)))
    for share, stem in zip(network.shares, stems, strict=True):
        # The spectrum lacks its highest bin and the frames at its ends, as in the original.
        assert error_db(stem, share * mixture) < -25


def test_a_stream_at_the_tracks_level_is_the_originals_recipe_up_to_its_tail(network):
    mixture = signal(3000 + 4 * 2250)
    meter = TrackMeter()
    meter.push(mixture)
    streamed = stream(HybridSeparator(SPEC, network, level=meter.level), mixture)
    whole = separate_track(mixture, SPEC, network)
    full = [window for window in windows(mixture.shape[1], 3000) if window.n_samples == 3000]
    end = full[-1].offset + 2250
    assert end > 10_000
    assert error_db(streamed[..., :end], whole[..., :end]) < -110


def test_quiet_passages_are_separated_like_loud_ones(network):
    separator, segment = HybridSeparator(SPEC, network), signal(3000)
    loud = separator.separate(segment, [0, 1, 2, 3], is_first=False)
    quiet = separator.separate(segment * np.float32(1e-3), [0, 1, 2, 3], is_first=False)
    assert error_db(quiet * 1e3, loud) < -90


def test_silence_stays_silent(network):
    assert not stream(HybridSeparator(SPEC, network), np.zeros((2, 10_000), np.float32)).any()


def test_stems_come_in_the_order_that_is_asked_for(network):
    separator, segment = HybridSeparator(SPEC, network), signal(3000)
    whole = separator.separate(segment, [0, 1, 2, 3], is_first=True)
    np.testing.assert_array_equal(separator.separate(segment, [2, 0], is_first=True), whole[[2, 0]])


def test_the_segment_is_not_changed(network):
    segment = signal(3000)
    kept = segment.copy()
    HybridSeparator(SPEC, network).separate(segment, [0], is_first=True)
    np.testing.assert_array_equal(segment, kept)


@pytest.mark.parametrize("overlap", [0.0, -0.1, 0.6, float("nan"), float("inf")])
def test_overlaps_that_make_no_sense(overlap):
    with pytest.raises(OptionError, match="overlap"):
        HybridSeparator(SPEC, Shares(), overlap=overlap)


def test_windows_of_the_original():
    assert list(windows(0, 100)) == []
    assert list(windows(40, 100)) == [Window(-30, 100, 0, 40)]
    assert list(windows(100, 100)) == [Window(0, 100, 0, 100), Window(75 - 37, 100, 75, 25)]
    assert list(windows(175, 100))[1:] == [Window(75, 100, 75, 100), Window(150 - 37, 100, 150, 25)]
    assert list(windows(100, 100, filled=False)) == [Window(0, 100, 0, 100), Window(75, 25, 75, 25)]


def test_an_empty_track():
    assert separate_track(np.zeros((2, 0), np.float32), SPEC, Shares()).shape == (4, 2, 0)


@pytest.mark.parametrize("sizes", [[7000], [1, 0, 2999, 4000], [100] * 70])
def test_the_level_of_a_track(sizes):
    mixture = signal(7000) + np.float32(100)  # where single precision would fail
    meter, start = TrackMeter(), 0
    for size in sizes:
        meter.push(mixture[:, start : start + size])
        start += size
    mono = mixture.mean(axis=0, dtype=np.float64)
    assert meter.level.mean == pytest.approx(mono.mean(), rel=1e-12)
    assert meter.level.deviation == pytest.approx(mono.std(ddof=1), rel=1e-9)


def test_the_level_of_nothing():
    assert TrackMeter().level.deviation == 0
    meter = TrackMeter()
    meter.push(np.ones((2, 1), np.float32))
    assert (meter.level.mean, meter.level.deviation) == (1, 0)


def test_the_spectrum_has_the_published_shape():
    spec = HTDemucsSpec()
    samples = noise(spec.segment_samples)
    spectrum = spectrum_of(samples, spec)
    assert spectrum.shape == (2, 336, 2048)
    assert error_db(waveform_of(spectrum, spec), samples) < -30


@pytest.mark.parametrize("name", SPECS)
def test_spectra_and_back(name):
    spec = SPECS[name]
    samples = signal(spec.segment_samples, spec.audio_channels)
    samples -= samples.mean()
    assert error_db(waveform_of(spectrum_of(samples, spec), spec), samples) < -20


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


@pytest.mark.parametrize("offset", [0.0, 0.2])
def test_an_offset_is_not_given_to_every_stem(network, offset):
    separator, segment = HybridSeparator(SPEC, network), signal(3000)
    stems = [separator.separate_alone(segment + np.float32(shift), [0, 1, 2, 3]) for shift in (0.0, offset)]
    assert error_db(stems[1], stems[0]) < -90
