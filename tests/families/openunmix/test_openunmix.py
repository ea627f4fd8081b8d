"""Open-Unmix against the package openunmix, with every parameter random; `make_reference` made the figures."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.families.openunmix.cases import CASES, EVERY, mixture, mixtures, random_weights
from tests.families.segments import decibels
from unweave.dsp.centred_stft import centred_stft
from unweave.dsp.segments import SegmentCutter, SegmentJoiner
from unweave.engines.choose import Runtime
from unweave.families.openunmix import (
    OpenUnmixSpec,
    open_separator,
    read_targets,
    recognise,
    separate_track,
    write_network,
)
from unweave.families.openunmix.recipe import OpenUnmixSeparator
from unweave.families.openunmix.wiener import refine
from unweave.models.checkpoints import Tensors

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))
NETWORK_DB, RECIPE_DB = -100, -80
NAMES = list(mixtures(512, 128))


def saved(case, folder):
    """A file for each stem, as openunmix has them, and its settings beside."""
    stems, _, settings = CASES[case]
    lines = (line.split(" ", 1) for line in REFERENCE[f"{case}/names"])
    shapes = {name: tuple(int(size) for size in shape.strip("(),").split(",")) for name, shape in lines}
    for seed, stem in enumerate(stems):
        safetensors.numpy.save_file(random_weights(shapes, seed), folder / f"{stem}-0123abcd.safetensors")
    given = {"nfft": settings["n_fft"], "nhop": settings["n_hop"], "niter": settings["niter"]}
    if case != "speech":  # whose rate and hop are those of the published one
        (folder / "separator.json").write_text(json.dumps({**given, "sample_rate": 44100.0}))


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    """(case, separator, arrays) of networks that were read, recognised, written and loaded."""
    folder = tmp_path_factory.mktemp(request.param)
    saved(request.param, folder)
    read = read_targets(folder)
    spec = recognise(read.tensors, read.configuration, "x")
    (folder / "out").mkdir()
    write_network(spec, read.tensors, folder / "out")
    stored = OpenUnmixSpec(**json.loads(json.dumps(dataclasses.asdict(spec))))
    assert stored == spec
    return request.param, open_separator(stored, folder / "out", Runtime("cpu", n_threads=2)), read.tensors


def test_the_description_says_what_was_read(made):
    case, separator, tensors = made
    stems, sizes, settings = CASES[case]
    spec = separator.spec
    assert spec.stems == stems
    assert spec.complement == ("no_drums" if case == "causal" else "")
    assert (spec.n_bins, spec.n_channels, spec.hidden_width) == tuple(
        sizes[key] for key in ("nb_bins", "nb_channels", "hidden_size")
    )
    assert spec.n_input_bins == (sizes["max_bin"] or sizes["nb_bins"])
    assert (spec.n_fft, spec.hop_length, spec.n_iterations) == (settings["n_fft"], settings["n_hop"], settings["niter"])
    assert spec.sample_rate == (16000 if case == "speech" else 44100)
    assert (spec.is_bidirectional, spec.n_recurrent) == ((False, 2) if case == "causal" else (True, 3))
    assert {name: tensors.shape(name) for name in tensors} == spec.shapes


def magnitudes(spec):
    found = np.abs(centred_stft(mixture(9000), spec.n_fft, spec.hop_length)).transpose(1, 0, 2)
    return found.mean(axis=1, keepdims=True) if spec.n_channels == 1 else found


def test_the_networks_equal_the_reference(made):
    case, separator, _ = made
    (estimates,) = separator._networks.run(np.ascontiguousarray(magnitudes(separator.spec)))
    assert decibels(estimates.ravel()[::EVERY], REFERENCE[f"{case}/network"]) < NETWORK_DB


def test_the_twin_in_pytorch_equals_the_reference(made):
    torch = pytest.importorskip("torch")
    from unweave.families.openunmix.network import OpenUnmix

    case, separator, tensors = made
    spec, found = separator.spec, []
    for prefix in spec.prefixes:
        twin = OpenUnmix(spec).eval()
        names = {f"{prefix}{name}": name for name in spec.network_shapes()}
        arrays = {name: torch.from_numpy(np.array(tensors[key])) for key, name in names.items()}
        counters = {f"bn{k}.num_batches_tracked": torch.tensor(0) for k in (1, 2, 3)}
        twin.load_state_dict(arrays | counters, strict=True)
        with torch.no_grad():
            found.append(twin(torch.from_numpy(magnitudes(spec))).numpy())
    assert decibels(np.stack(found).ravel()[::EVERY], REFERENCE[f"{case}/network"]) < NETWORK_DB


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_recipe_equals_the_reference(made, name):
    case, separator, _ = made
    spec = separator.spec
    mix = mixtures(spec.n_fft, spec.hop_length)[name]
    stems = separate_track(separator, mix)
    assert stems.shape == (len(separator.stems), *mix.shape)
    expected = REFERENCE[f"{case}/{name}"]
    if not mix.any():
        assert not stems.any()
        assert not expected.any()
    else:
        assert decibels(stems[: len(spec.stems), :, ::EVERY], expected) < RECIPE_DB
    if spec.complement:
        np.testing.assert_allclose(stems.sum(axis=0), mix, atol=1e-5 * max(1, np.abs(stems).max()))


def streamed(separator, samples, n_block):
    cutter, joiner = SegmentCutter(separator.segmentation, 2), SegmentJoiner(separator.segmentation)
    stems = range(len(separator.stems))
    segments = []
    for start in range(0, samples.shape[1], n_block):
        segments += cutter.push(samples[:, start : start + n_block])
    segments += cutter.flush()
    joined = [joiner.push(separator.separate(part, stems, is_first=k == 0)) for k, part in enumerate(segments)]
    return np.concatenate(joined, axis=-1)[..., : samples.shape[1]]


def short_segments(separator):
    """The same in segments of 40 frames instead of 1200."""
    spec = dataclasses.replace(separator.spec, n_frames=40)
    return OpenUnmixSeparator(spec, separator._networks)


def test_a_stream_begins_as_the_whole_and_does_not_depend_on_its_blocks(made):
    _, separator, _ = made
    short = short_segments(separator)
    samples = mixture(3 * short.segmentation.length + 77)
    stream = streamed(short, samples, 1000)
    np.testing.assert_array_equal(stream, streamed(short, samples, 7777))
    begin = short.segmentation.hop
    whole = separate_track(short, samples[:, : short.segmentation.length])
    np.testing.assert_allclose(stream[..., :begin], whole[..., :begin], atol=1e-6)


def test_the_shares_of_segments_sum_to_one(made):
    _, separator, _ = made

    class Whole(OpenUnmixSeparator):
        def spectra(self, mixture):
            return np.stack([mixture for _ in self.spec.stems])

    short = short_segments(separator)
    whole = Whole(short.spec, None)
    for n_samples in (1, 700, short.segmentation.length, 3 * short.segmentation.length + 5):
        samples = mixture(n_samples)
        for stem, name in zip(streamed(whole, samples, 999), whole.stems, strict=True):
            np.testing.assert_allclose(stem, 0 if name == whole.spec.complement else samples, atol=2e-6)


def test_silence_stays_silent(made):
    _, separator, _ = made
    short = short_segments(separator)
    assert not streamed(short, np.zeros((2, 2 * short.segmentation.length), np.float32), 5000).any()


def test_chosen_stems_are_those_of_all(made):
    _, separator, _ = made
    short = short_segments(separator)
    segment = mixture(short.segmentation.length)
    every = short.separate(segment, range(len(short.stems)), is_first=False)
    last = len(short.stems) - 1
    np.testing.assert_array_equal(short.separate(segment, [last], is_first=False)[0], every[last])


def test_the_filter_leaves_its_inputs_alone_and_shares_the_mixture():
    chance = np.random.RandomState(0)
    mix = (chance.standard_normal((2, 50, 300)) + 1j * chance.standard_normal((2, 50, 300))).astype(np.complex64)
    estimates = np.abs(chance.standard_normal((3, 2, 50, 300))).astype(np.float32)
    kept = mix.copy(), estimates.copy()
    stems = refine(estimates, mix, 1)
    np.testing.assert_allclose(stems.sum(axis=0), mix, atol=1e-3)  # but for ε
    np.testing.assert_array_equal(mix, kept[0])
    np.testing.assert_array_equal(estimates, kept[1])
    np.testing.assert_allclose(refine(2 * estimates, mix, 0), 2 * refine(estimates, mix, 0), rtol=1e-5)


def test_tensors_of_one_file_are_enough_for_one_stem(tmp_path):
    saved("four", tmp_path)
    from unweave.models.checkpoints import read_tensors

    tensors = read_tensors(tmp_path / "vocals-0123abcd.safetensors").tensors
    assert isinstance(tensors, Tensors)
    spec = recognise(tensors, {"nhop": 128}, "x")
    assert (spec.all_stems, spec.prefixes, spec.n_iterations) == (("vocals", "instrumental"), ("",), 0)
    write_network(spec, tensors, tmp_path)
    stems = separate_track(open_separator(spec, tmp_path, Runtime("cpu")), mixture(3000))
    np.testing.assert_allclose(stems.sum(axis=0), mixture(3000), atol=1e-5)
