"""A network of one's own checkpoint in a stream, and from a file to stems."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from tests.families.demucs.checks import Graph
from tests.families.hdemucs.small import HOP, SEGMENT, SPECS, random_weights, track
from tests.families.hdemucs.test_network import graph
from tests.families.htdemucs.test_recipe import stream
from tests.helpers.signals import error_db, tones
from unweave import Separator
from unweave.families import foreign
from unweave.families.demucs.recipe import HybridSeparator, TrackMeter
from unweave.families.hdemucs.graph import build_graph
from unweave.families.hdemucs.recipe import separate_track

SPEC = SPECS["four"]


@pytest.fixture(scope="module")
def network():
    return graph("four")


def test_a_stream_at_the_tracks_level_is_the_originals_recipe_up_to_its_tail(network):
    mixture = track("segments without a tail")
    meter = TrackMeter()
    meter.push(mixture)
    streamed = stream(HybridSeparator(SPEC, network, level=meter.level), mixture)
    whole = separate_track(mixture, SPEC, lambda n_samples: graph("four", n_samples))
    assert error_db(streamed[..., : 3 * HOP], whole[..., : 3 * HOP]) < -110


def test_silence_stays_silent(network):
    assert not stream(HybridSeparator(SPEC, network), np.zeros((2, SEGMENT + 9), np.float32)).any()


def test_some_stems_only():
    mixture = track("a tenth of a segment")

    def network_of(n_samples):
        return graph("four", n_samples)

    whole = separate_track(mixture, SPEC, network_of)
    np.testing.assert_array_equal(separate_track(mixture, SPEC, network_of, stems=[3, 1]), whole[[3, 1]])


def test_from_a_checkpoint_to_stems(tmp_path, cache):
    torch = pytest.importorskip("torch")
    spec = dataclasses.replace(SPEC, stems=("kick", "snare", "cymbals", "toms"))
    weights = {name: array.astype(np.float16) for name, array in random_weights(spec).items()}
    state = {name: torch.from_numpy(array) for name, array in weights.items()}
    told = {
        "norm_groups": 4, "dconv_init": 0.001, "nfft": spec.n_fft, "audio_channels": 2, "samplerate": 44100,
        "segment": Fraction(spec.segment_samples, 44100),
    }  # fmt: skip
    path = tmp_path / "model_drumsep.th"
    torch.save({"klass": "HDemucs", "args": [list(spec.stems)], "kwargs": told, "state": state}, path)
    added = foreign.add_checkpoint("drums", path)
    assert (added.family, added.stems) == ("hdemucs", spec.stems)
    mixture = tones(3 * SEGMENT)
    stems = Separator("drums").separate(mixture, 44100)
    assert list(stems) == list(spec.stems)
    expected = stream(HybridSeparator(spec, Graph(build_graph(spec, weights))), mixture)
    assert error_db(np.stack(list(stems.values())), expected) < -100
