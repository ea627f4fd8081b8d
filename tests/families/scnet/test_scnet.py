"""SCNets against the code they were trained with, with every parameter random; `make_reference` made the figures."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.families.scnet.cases import CASES, EVERY, SEGMENT, random_weights
from tests.families.segments import decibels, mixture, mixtures, streamed
from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.dsp.real_parts import as_channels, from_channels
from unweave.dsp.stft import hann, rectangle
from unweave.engines.choose import Runtime
from unweave.families import scnet
from unweave.families.overlapping import OverlappingSeparator, separate_track
from unweave.families.scnet.graph import NETWORK, WEIGHTS
from unweave.families.scnet.recipe import ScnetNetwork
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
    spec = scnet.recognise(tensors, CASES[case], case)
    scnet.write_network(spec, tensors, folder)
    return case, spec, tensors, scnet.open_separator(spec, folder, Runtime("cpu", n_threads=1))


def spectrum_of(spec):
    """The input of the network for one segment, (4, bins, frames), and the same as complex numbers."""
    longer = np.pad(mixture(SEGMENT), [(0, 0), (0, spec.n_added)])
    spectrum = centred_stft(longer, spec.n_fft, spec.hop_length, hann if spec.masked else rectangle)
    spectrum /= np.sqrt(spec.n_fft) if spec.stft_normalised else 1
    return as_channels(spectrum), spectrum.transpose(0, 2, 1)


def as_reference(spec, given, spectrum):
    """What the network gives, (4 · stems, bins, frames), as the reference's complex spectra."""
    spectra = given.reshape(-1, 2, *given.shape[1:])
    spectra = (spectra[:, 0] + 1j * spectra[:, 1]).reshape(len(spec.stems), 2, *given.shape[1:])
    return (spectra * spectrum if spec.masked else spectra).ravel()[::EVERY]


def decibels_of_complex(estimate, reference):
    return decibels(np.stack([estimate.real, estimate.imag]), np.stack([reference.real, reference.imag]))


def test_the_description_says_what_was_built(made):
    case, spec, tensors, separator = made
    settings = CASES[case]["model"]
    assert list(spec.dims) == settings["dims"]
    assert spec.n_layers == settings["num_dplayer"]
    assert spec.masked == case.startswith("masked")
    assert {name: tensors.shape(name) for name in tensors} == spec.shapes
    assert separator.stems == {"target": ("difference", "similarity")}.get(case, tuple(settings["sources"]))


def test_the_description_survives_json(made):
    _, spec, _, _ = made
    stored = json.loads(json.dumps(dataclasses.asdict(spec)))
    again = scnet.Spec(**{key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()})
    assert again == spec


def test_the_network_equals_the_reference(made):
    case, spec, _, separator = made
    numbers, spectrum = spectrum_of(spec)
    (given,) = separator._network._session.run(numbers[None])
    found = as_reference(spec, given[0].astype(np.float64), spectrum)
    assert decibels_of_complex(found, REFERENCE[f"{case}/spectra"]) < NETWORK_DB


def test_the_twin_in_pytorch_equals_the_reference(made):
    torch = pytest.importorskip("torch")
    from unweave.families.scnet.network import Scnet

    case, spec, tensors, _ = made
    twin = Scnet(spec)
    twin.load_state_dict({name: torch.from_numpy(np.array(tensors[name])) for name in tensors}, strict=True)
    numbers, spectrum = spectrum_of(spec)
    with torch.no_grad():
        given = twin(torch.from_numpy(numbers)[None])[0].numpy()
    found = as_reference(spec, given.astype(np.float64), spectrum)
    assert decibels_of_complex(found, REFERENCE[f"{case}/spectra"]) < NETWORK_DB


@pytest.mark.parametrize("name", mixtures(SEGMENT))
def test_the_whole_recipe_equals_the_reference(made, name):
    case, spec, _, separator = made
    stems = separate_track(separator, mixtures(SEGMENT)[name])
    assert stems.shape == (len(separator.stems), *mixtures(SEGMENT)[name].shape)
    if spec.masked and name == "silence":
        assert not stems.any()
    else:
        assert decibels(stems[..., ::EVERY], REFERENCE[f"{case}/{name}"]) < RECIPE_DB


def test_silence_stays_silent(made):
    """Although the network itself, by its biases, would make something of it."""
    _, spec, _, separator = made
    assert not streamed(separator, np.zeros((2, 3 * SEGMENT), np.float32), 1000).any()
    (given,) = separator._network._session.run(np.zeros((1, 4, spec.n_bins, spec.n_frames), np.float32))
    assert np.isfinite(given).all()


def test_a_stream_is_the_whole_recipe_but_for_the_ends(made):
    _, spec, _, separator = made
    if spec.normalised:  # a stream does not know the level of the track
        spec = dataclasses.replace(spec, normalised=False)
        separator = OverlappingSeparator(spec, separator._network)
    samples = mixture(6 * SEGMENT)
    stream, whole = streamed(separator, samples, 1000), separate_track(separator, samples)
    border = separator.segmentation.lead
    inside = slice(border, samples.shape[1] - 2 * border)
    # Without an overlap the recipe leaves the very first and last sample of each segment silent.
    heard = np.where(whole == 0, 0, stream) if spec.n_overlaps == 1 else stream
    assert decibels(heard[..., inside], whole[..., inside]) < RECIPE_DB
    np.testing.assert_array_equal(stream, streamed(separator, samples, 5000))


def test_a_soft_segment_is_brought_to_the_level_of_training(made):
    _, spec, _, separator = made
    segment = mixture(SEGMENT)
    segment -= segment.mean(axis=0).mean()
    stems = range(len(separator.stems))
    loud, soft = (separator.separate(gain * segment, stems, is_first=True) for gain in (1, np.float32(1 / 64)))
    assert (decibels(64 * soft, loud) < RECIPE_DB) == spec.normalised


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
    scnet.write_network(spec, tensors, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS, NETWORK}
    assert (tmp_path / NETWORK).stat().st_size < 1_000_000


@pytest.mark.parametrize("window", [hann, rectangle])
@pytest.mark.parametrize("hop", [256, 300])
def test_the_transform_equals_pytorchs(window, hop):
    torch = pytest.importorskip("torch")
    samples, ones = mixture(12 * hop), torch.from_numpy(np.array(window(1024)))
    theirs = torch.stft(torch.from_numpy(samples), 1024, hop, window=ones, return_complex=True)
    ours = centred_stft(samples, 1024, hop, window)
    assert np.abs(ours - theirs.numpy().transpose(0, 2, 1)).max() < 1e-4
    changed = ours * mixture(ours.size // 2)[:, : ours[0].size].reshape(ours.shape)
    back = torch.istft(torch.from_numpy(changed.transpose(0, 2, 1).copy()), 1024, hop, window=ones)
    assert decibels(centred_istft(changed, back.shape[1], 1024, hop, window), back.numpy()) < -110


def test_numbers_are_real_and_imaginary_parts_by_channel():
    spectrum = centred_stft(mixture(3000), 1024, 256, rectangle)
    np.testing.assert_array_equal(as_channels(spectrum)[3], spectrum[1].imag.T)
    np.testing.assert_array_equal(from_channels(as_channels(spectrum)), spectrum)


def test_the_network_is_asked_once_for_all_stems():
    """Its output has all stems anyway."""
    spec = scnet.Spec("x", ("a", "b"), segment_samples=8192, n_fft=1024, hop_length=256)

    class Session:
        n_calls = 0

        def run(self, numbers):
            self.n_calls += 1
            return [np.tile(numbers, (1, 2, 1, 1))]

    session = Session()
    stems = ScnetNetwork(spec, session).waveforms(mixture(8192), [1, 0])
    assert session.n_calls == 1
    np.testing.assert_allclose(stems, np.stack(2 * [mixture(8192)]), atol=1e-5)
