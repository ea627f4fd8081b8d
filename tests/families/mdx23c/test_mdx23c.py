"""MDX23Cs against pymss-core's own, with every parameter random; `make_reference` made the figures."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.families.mdx23c.cases import CASES, EVERY, SEGMENT, random_weights
from tests.families.segments import decibels, mixture, mixtures, streamed
from unweave.dsp.centred_stft import centred_stft
from unweave.engines.choose import Runtime
from unweave.families import mdx23c
from unweave.families.mdx23c.graph import NETWORK, WEIGHTS
from unweave.families.mdx23c.recipe import as_subbands, from_subbands
from unweave.families.overlapping import OverlappingSeparator, separate_track
from unweave.models.checkpoints import read_tensors

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))
NETWORK_DB, RECIPE_DB = -100, -80


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    """(case, spec, tensors, separator) of a checkpoint that was written to a file, read and recognised."""
    case = request.param
    folder = tmp_path_factory.mktemp(case)
    shapes = dict(line.split(" ", 1) for line in REFERENCE[f"{case}/names"])
    weights = random_weights({name: tuple(map(int, shape.strip("(),").split(","))) for name, shape in shapes.items()})
    safetensors.numpy.save_file(weights, folder / "model.safetensors")
    tensors = read_tensors(folder / "model.safetensors").tensors
    spec = mdx23c.recognise(tensors, CASES[case], case)
    mdx23c.write_network(spec, tensors, folder)
    return case, spec, tensors, mdx23c.open_separator(spec, folder, Runtime("cpu", n_threads=1))


def spectrum_of(spec):
    """The input of the network for one segment."""
    spectrum = centred_stft(mixture(SEGMENT), spec.n_fft, spec.hop_length)[..., : spec.n_bins]
    return as_subbands(spectrum, spec.n_subbands)


def as_reference(spec, given):
    """What the network gives as the reference's complex spectra, with silence above the bins that it sees."""
    stems = given.reshape(len(spec.stems), spec.n_inputs, *given.shape[1:])
    spectra = np.stack([from_subbands(stem, spec.n_subbands).transpose(0, 2, 1) for stem in stems])
    above = spec.n_fft // 2 + 1 - spec.n_bins
    return np.pad(spectra, [(0, 0), (0, 0), (0, above), (0, 0)]).ravel()[::EVERY]


def decibels_of_complex(estimate, reference):
    return decibels(np.stack([estimate.real, estimate.imag]), np.stack([reference.real, reference.imag]))


def test_the_description_says_what_was_built(made):
    case, spec, tensors, separator = made
    settings = CASES[case]["model"]
    assert (spec.n_channels, spec.growth, spec.n_scales) == (8, settings["growth"], 2)
    assert (spec.norm, spec.activation) == (settings["norm"] or "", settings["act"])
    assert {name: tensors.shape(name) for name in tensors} == spec.shapes
    assert separator.stems == tuple(CASES[case]["training"]["instruments"])


def test_the_description_survives_json(made):
    _, spec, _, _ = made
    stored = json.loads(json.dumps(dataclasses.asdict(spec)))
    again = mdx23c.Spec(**{key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()})
    assert again == spec


def test_the_network_equals_the_reference(made):
    case, spec, _, separator = made
    (given,) = separator._network._session.run(spectrum_of(spec)[None])
    assert decibels_of_complex(as_reference(spec, given[0]), REFERENCE[f"{case}/spectra"]) < NETWORK_DB


def test_the_twin_in_pytorch_equals_the_reference(made):
    torch = pytest.importorskip("torch")
    from unweave.families.mdx23c.network import Mdx23c

    case, spec, tensors, _ = made
    twin = Mdx23c(spec)
    counters = {key: value for key, value in twin.state_dict().items() if key.endswith("num_batches_tracked")}
    weights = {name: torch.from_numpy(np.array(tensors[name])) for name in tensors}
    twin.load_state_dict({**weights, **counters}, strict=True)
    with torch.no_grad():
        given = twin.eval()(torch.from_numpy(spectrum_of(spec))[None])[0].numpy()
    assert decibels_of_complex(as_reference(spec, given), REFERENCE[f"{case}/spectra"]) < NETWORK_DB


@pytest.mark.parametrize("name", mixtures(SEGMENT))
def test_the_whole_recipe_equals_the_reference(made, name):
    case, _, _, separator = made
    stems = separate_track(separator, mixtures(SEGMENT)[name])
    assert stems.shape == (len(separator.stems), *mixtures(SEGMENT)[name].shape)
    if name == "silence":
        assert not stems.any()
    else:
        assert decibels(stems[..., ::EVERY], REFERENCE[f"{case}/{name}"]) < RECIPE_DB


def test_silence_stays_silent(made):
    _, _, _, separator = made
    assert not streamed(separator, np.zeros((2, 3 * SEGMENT), np.float32), 1000).any()


def test_a_stream_is_the_whole_recipe_but_for_the_ends(made):
    _, spec, _, separator = made
    if spec.normalised:  # a stream does not know the level of the track
        spec = dataclasses.replace(spec, normalised=False)
        separator = OverlappingSeparator(spec, separator._network)
    samples = mixture(6 * SEGMENT)
    stream, whole = streamed(separator, samples, 1000), separate_track(separator, samples)
    border = separator.segmentation.lead
    inside = slice(border, samples.shape[1] - 2 * border)
    assert decibels(stream[..., inside], whole[..., inside]) < RECIPE_DB
    np.testing.assert_array_equal(stream, streamed(separator, samples, 5000))


def test_chosen_stems_are_those_of_all(made):
    _, spec, _, separator = made
    segment = mixture(SEGMENT)
    every = separator.separate(segment, range(len(separator.stems)), is_first=False)
    for chosen in ([len(separator.stems) - 1], list(range(len(separator.stems)))[::-1]):
        np.testing.assert_array_equal(separator.separate(segment, chosen, is_first=False), every[chosen])
    if spec.complement:
        np.testing.assert_allclose(separator.estimate(segment, [0, 1]).sum(axis=0), segment, atol=1e-5)


def test_the_shares_of_overlapping_segments_sum_to_one(made):
    _, spec, _, _ = made

    class Whole:
        def waveforms(self, segment, stems):
            return np.stack([segment for _ in stems])

    separator = OverlappingSeparator(dataclasses.replace(spec, complement="", normalised=False), Whole())
    for length in (500, SEGMENT, 3 * SEGMENT + 77):
        samples = mixture(length)
        for stem in streamed(separator, samples, 999):
            np.testing.assert_allclose(stem, samples, atol=1e-5)


def test_the_weights_lie_in_a_file_beside_the_graph(made, tmp_path):
    _, spec, tensors, _ = made
    mdx23c.write_network(spec, tensors, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS, NETWORK}
    assert (tmp_path / NETWORK).stat().st_size < 1_000_000


def test_subbands_are_channels():
    spectrum = centred_stft(mixture(3000), 512, 128)[..., :256]
    numbers = as_subbands(spectrum, 4)
    assert numbers.shape == (16, spectrum.shape[1], 64)
    np.testing.assert_array_equal(numbers[3 * 4 + 2], spectrum[1].imag[:, 128:192])
    np.testing.assert_array_equal(from_subbands(numbers, 4), spectrum)
