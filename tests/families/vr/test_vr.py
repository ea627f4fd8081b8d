"""VR against pymss-core's networks in audio-separator's own recipe; `make_reference` made the figures."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.families.segments import decibels
from tests.families.vr.cases import CASES, EVERY, mixture, mixtures, random_weights
from unweave import Separator
from unweave.dsp.segments import SegmentCutter, SegmentJoiner
from unweave.engines.choose import Runtime
from unweave.families import foreign
from unweave.families.vr import VrSpec, open_separator, recognise, separate_track, write_network
from unweave.families.vr.recipe import VrSeparator
from unweave.models.checkpoints import read_tensors

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))
NETWORK_DB, RECIPE_DB = -100, -80
NAMES = list(mixtures(1000, 256))


def shapes_of(case):
    lines = (line.split(" ", 1) for line in REFERENCE[f"{case}/names"])
    return {name: tuple(int(size) for size in shape.strip("(),").split(",")) for name, shape in lines}


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    """(case, separator) of a file that was read, recognised, written and loaded."""
    case = request.param
    folder = tmp_path_factory.mktemp(case)
    safetensors.numpy.save_file(random_weights(shapes_of(case)), folder / "net.safetensors")
    tensors = read_tensors(folder / "net.safetensors").tensors
    version, _, spectrum, stem = CASES[case]
    spec = recognise(tensors, {**spectrum, "primary_stem": stem}, case)
    write_network(spec, tensors, folder)
    stored = VrSpec(**json.loads(json.dumps(dataclasses.asdict(spec))))
    assert stored == spec
    assert spec.version == version
    return case, open_separator(stored, folder, Runtime("cpu", n_threads=2))


def test_the_description_has_every_array_of_the_network(made):
    case, separator = made
    used = {name: shape for name, shape in shapes_of(case).items() if not name.startswith("aux")}
    assert separator.spec.shapes == used


def test_the_network_equals_the_reference(made):
    case, separator = made
    n_bins, edge = separator.spec.n_bins, separator.spec.n_edge_frames
    magnitudes = np.abs(mixture(512 * (n_bins + 1))).reshape(1, 2, n_bins + 1, 512)
    (found,) = separator._network.run(np.ascontiguousarray(magnitudes[:, :, :n_bins]))
    assert decibels(found[0, :, :, edge:-edge].ravel()[::EVERY], REFERENCE[f"{case}/network"]) < NETWORK_DB


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_recipe_equals_the_reference(made, name):
    case, separator = made
    spec = separator.spec
    mix = mixtures(spec.bands[-1].hop_length, spec.n_given_frames)[name]
    stems = separate_track(separator, mix)
    assert stems.shape == (2, *mix.shape)
    n_samples = int(REFERENCE[f"{case}/{name}/samples"])
    expected = REFERENCE[f"{case}/{name}"]
    assert decibels(stems[..., :n_samples][..., ::EVERY], expected) < RECIPE_DB
    assert not stems[..., n_samples:].any()


def test_silence_stays_silent(made):
    _, separator = made
    silence = np.zeros((2, separator.segmentation.length), np.float32)
    assert not separator.separate(silence, (0, 1), is_first=True).any()
    assert not separate_track(separator, silence).any()


def streamed(separator, samples, n_block):
    cutter, joiner = SegmentCutter(separator.segmentation, 2), SegmentJoiner(separator.segmentation)
    segments = []
    for start in range(0, samples.shape[1], n_block):
        segments += cutter.push(samples[:, start : start + n_block])
    segments += cutter.flush()
    joined = [joiner.push(separator.separate(part, (0, 1), is_first=k == 0)) for k, part in enumerate(segments)]
    return np.concatenate(joined, axis=-1)[..., : samples.shape[1]]


@pytest.mark.parametrize("made", ["five", "new"], indirect=True)
def test_a_stream_does_not_depend_on_its_blocks_and_begins_as_the_whole(made):
    _, separator = made
    samples = mixture(separator.segmentation.length + 5000)
    stream = streamed(separator, samples, 10000)
    np.testing.assert_array_equal(stream, streamed(separator, samples, 77777))
    whole = separate_track(separator, samples[:, : separator.segmentation.length])
    begin = separator.segmentation.hop
    np.testing.assert_allclose(stream[..., :begin], whole[..., :begin], atol=1e-6)


# Not those of "new_mixed", where the reference itself does not undo its mixing of channels entirely.
@pytest.mark.parametrize("made", ["five", "six", "seven", "reverse", "new"], indirect=True)
def test_both_stems_together_are_what_the_bands_hold(made):
    _, separator = made

    class Half(VrSeparator):
        def mask(self, magnitudes):
            return np.full(magnitudes.shape, 0.5, np.float32)

    half = Half(separator.spec, None)
    stem, complement = separate_track(half, mixture(20000))
    np.testing.assert_allclose(stem, complement, atol=1e-6)
    assert np.abs(stem).max() > 0.05


def test_a_stem_is_the_same_whatever_else_is_asked_for(tmp_path, cache):
    safetensors.numpy.save_file(random_weights(shapes_of("six")), tmp_path / "net.safetensors")
    _, _, spectrum, stem = CASES["six"]
    (tmp_path / "net.json").write_text(json.dumps({**spectrum, "primary_stem": stem}))
    foreign.add_checkpoint("mine", tmp_path / "net.safetensors")
    separator, mix = Separator("mine", device="cpu", segment_seconds=1), mixture(20000)
    together = separator.separate(mix, 44100)
    np.testing.assert_allclose(sum(together.values()), mix, atol=1e-4)
    # The one that takes what the bands do not hold.
    alone = separator.separate(mix, 44100, stems=["instrumental"])
    np.testing.assert_allclose(alone["instrumental"], together["instrumental"], atol=1e-4)
