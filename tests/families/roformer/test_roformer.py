"""RoFormers against pymss-core's own, with every parameter random; `make_reference` made the figures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.numpy

from tests.families.roformer.cases import CASES, EVERY, SEGMENT, mixture, mixtures, random_weights
from tests.families.segments import decibels, streamed
from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.families.descriptions import from_json, to_json
from unweave.families.overlapping import separate_track
from unweave.families.roformer import graph
from unweave.families.roformer.bands import mel_bands
from unweave.families.roformer.graph import NETWORK, WEIGHTS, write_graph
from unweave.families.roformer.recipe import RoformerSeparator, as_numbers, from_numbers
from unweave.families.roformer.recognise import recognise
from unweave.families.roformer.spec import RoformerSpec
from unweave.models.checkpoints import read_tensors

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))
NETWORK_DB, RECIPE_DB = -100, -80


class OnnxMasks:
    def __init__(self, path):
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def masks(self, spectrum):
        return self._session.run(None, {"spectrum": spectrum})[0]


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    """(case, spec, weights, network) of a checkpoint that was written to a file, read and recognised."""
    case = request.param
    folder = tmp_path_factory.mktemp(case)
    shapes = dict(line.split(" ", 1) for line in REFERENCE[f"{case}/names"])
    weights = random_weights({name: tuple(map(int, shape.strip("(),").split(","))) for name, shape in shapes.items()})
    safetensors.numpy.save_file(weights, folder / "model.safetensors")
    tensors = read_tensors(folder / "model.safetensors").tensors
    spec = recognise(tensors, CASES[case][1], case)
    return case, spec, tensors, OnnxMasks(write_graph(spec, tensors, folder))


def test_the_description_says_what_was_built(made):
    case, spec, tensors, _ = made
    settings = CASES[case][1]["model"]
    assert spec.kind == ("bs" if case.startswith("bs") else "mel")
    assert (spec.dim, spec.depth, len(spec.stems)) == (16, settings["depth"], settings["num_stems"])
    assert (spec.hop_length, spec.segment_samples) == (settings["stft_hop_length"], SEGMENT)
    assert spec.complement == ("other" if case == "mel" else "")
    assert {name: tensors.shape(name) for name in tensors} == spec.shapes


def test_the_network_equals_the_reference(made):
    case, spec, _, network = made
    masks = network.masks(as_numbers(centred_stft(mixture(SEGMENT), spec.n_fft, spec.hop_length)))
    assert masks.shape == (len(spec.stems), spec.n_frames, 4 * spec.n_bins)
    assert decibels(masks.ravel()[::EVERY], REFERENCE[f"{case}/masks"]) < NETWORK_DB


def test_the_twin_in_pytorch_equals_the_reference(made):
    torch = pytest.importorskip("torch")
    from unweave.families.roformer.network import Roformer

    case, spec, tensors, _ = made
    twin = Roformer(spec)
    twin.load_state_dict({name: torch.from_numpy(np.array(tensors[name])) for name in tensors}, strict=True)
    spectrum = as_numbers(centred_stft(mixture(SEGMENT), spec.n_fft, spec.hop_length))
    with torch.no_grad():
        masks = twin(torch.from_numpy(spectrum)[None])[0].numpy()
    assert decibels(masks.ravel()[::EVERY], REFERENCE[f"{case}/masks"]) < NETWORK_DB


@pytest.mark.parametrize("name", [name for name in mixtures() if name != "silence"])
def test_the_whole_recipe_equals_the_reference(made, name):
    case, spec, _, network = made
    if name == "silence_inside" and spec.normalised:
        # Less its mean, silence is a constant, whose spectrum is rounding errors; the norms raise them to full level.
        pytest.skip("the reference's own masks are rounding errors here")
    stems = separate_track(RoformerSeparator(spec, network), mixtures()[name])
    assert stems.shape == (len(RoformerSeparator(spec, network).stems), *mixtures()[name].shape)
    assert decibels(stems[..., ::EVERY], REFERENCE[f"{case}/{name}"]) < RECIPE_DB


def test_silence_stays_silent(made):
    _, spec, _, network = made
    separator = RoformerSeparator(spec, network)
    assert not separate_track(separator, np.zeros((2, 2 * SEGMENT), np.float32)).any()
    # The network itself bears silence too: nothing is divided by zero.
    assert np.isfinite(network.masks(np.zeros((spec.n_frames, 4 * spec.n_bins), np.float32))).all()


def test_a_stream_is_the_whole_recipe_but_for_the_ends(made):
    case, spec, _, network = made
    separator = RoformerSeparator(spec, network)
    samples = mixture(6 * SEGMENT)
    if spec.normalised:  # which a stream cannot know, and which changes the offset alone
        samples -= samples.mean()
    stream, whole = streamed(separator, samples, 1000), separate_track(separator, samples)
    border = separator.segmentation.lead
    inside = slice(border, samples.shape[1] - 2 * border)
    assert decibels(stream[..., inside], whole[..., inside]) < RECIPE_DB, case
    np.testing.assert_array_equal(stream, streamed(separator, samples, 5000))


def test_the_shares_of_overlapping_segments_sum_to_one(made):
    _, spec, _, network = made

    class Whole(RoformerSeparator):
        def estimate(self, segment, stems):
            return np.stack([segment for _ in stems])

    for n_overlaps in (1, 2, 3, 4, 7):
        separator = Whole(replace(spec, n_overlaps=n_overlaps), network)
        for length in (500, SEGMENT, 3 * SEGMENT + 77):
            samples = mixture(length)
            for stem in streamed(separator, samples, 999):
                np.testing.assert_allclose(stem, samples, atol=1e-6)
            for stem in separate_track(separator, samples)[: len(spec.stems)]:
                np.testing.assert_allclose(stem, samples, atol=1e-6)


def test_chosen_stems_are_those_of_all(made):
    _, spec, _, network = made
    separator = RoformerSeparator(spec, network)
    segment = mixture(SEGMENT)
    every = separator.separate(segment, range(len(separator.stems)), is_first=False)
    last = len(separator.stems) - 1
    np.testing.assert_array_equal(separator.separate(segment, [last], is_first=False)[0], every[last])
    if spec.complement:
        total = separator.estimate(segment, [0, 1]).sum(axis=0)
        np.testing.assert_allclose(total, segment, atol=1e-6)


def test_the_graph_does_not_depend_on_how_much_is_computed_at_once(made, tmp_path, monkeypatch):
    _, spec, tensors, network = made
    monkeypatch.setattr(graph, "TOKENS_AT_ONCE", 50)
    monkeypatch.setattr(graph, "BANDS_AT_ONCE", 3)
    parts = OnnxMasks(write_graph(spec, tensors, tmp_path))
    spectrum = as_numbers(centred_stft(mixture(SEGMENT), spec.n_fft, spec.hop_length))
    assert decibels(parts.masks(spectrum), network.masks(spectrum)) < NETWORK_DB


YAML = """
audio: {chunk_size: 4410, sample_rate: 44100, num_channels: 2}
model:
  dim: 16
  depth: 1
  stereo: true
  num_stems: 2
  stft_hop_length: 441
  freqs_per_bands: !!python/tuple [2, 2]
training: {instruments: [vocals, other], target_instrument: null, lr: 1e-5}
inference: {num_overlap: 2}
"""


def test_from_a_file_of_pytorch_and_its_yaml_to_stems(tmp_path):
    torch = pytest.importorskip("torch")
    from unweave.families.roformer.network import Roformer

    spec = RoformerSpec(
        "x", "bs", ("vocals", "other"), dim=16, depth=1, n_heads=2, head_width=8, segment_samples=SEGMENT
    )
    twin = Roformer(spec)
    weights = random_weights(spec.shapes)
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=True)
    wrapped = {"state_dict": {f"model.{name}": value for name, value in twin.state_dict().items()}, "epoch": 3}
    torch.save(wrapped, tmp_path / "mine.ckpt")
    (tmp_path / "mine.yaml").write_text(YAML)
    checkpoint = read_tensors(tmp_path / "mine.ckpt")
    found = recognise(checkpoint.tensors, checkpoint.configuration, "x")
    assert found == spec
    network = OnnxMasks(write_graph(found, checkpoint.tensors, tmp_path))
    spectrum = as_numbers(centred_stft(mixture(SEGMENT), 2048, 441))
    with torch.no_grad():
        expected = twin(torch.from_numpy(np.stack([spectrum, spectrum])))[1].numpy()
    assert decibels(network.masks(spectrum), expected) < NETWORK_DB


def test_the_description_survives_a_file(made):
    _, spec, _, _ = made
    assert from_json(RoformerSpec, to_json(spec)) == spec


def test_the_weights_lie_in_a_file_beside_the_graph(made, tmp_path):
    _, spec, tensors, _ = made
    write_graph(spec, tensors, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS, NETWORK}
    assert (tmp_path / NETWORK).stat().st_size < 1_000_000
    assert (tmp_path / WEIGHTS).stat().st_size >= 0.9 * 4 * tensors.n_values


@pytest.mark.parametrize(("case", "n_bands", "n_fft"), [("mel", 60, 2048), ("mel_two", 48, 4096)])
def test_mel_bands_are_the_references(case, n_bands, n_fft):
    n_bins = n_fft // 2 + 1
    members = np.unpackbits(REFERENCE[f"{case}/members"])[: n_bands * n_bins].reshape(n_bands, n_bins)
    bands = mel_bands(n_bands, n_fft, 44100)
    assert [list(band) for band in bands] == [np.flatnonzero(row).tolist() for row in members]
    if n_bands == 60:
        assert sum(map(len, bands)) == 1979
        assert sum(map(len, mel_bands(60, 4096, 44100))) == 3957


@pytest.mark.parametrize("hop", [441, 512, 300])
@pytest.mark.parametrize("n_samples", [3000, 4410, 5120])
def test_the_transform_equals_pytorchs(hop, n_samples):
    torch = pytest.importorskip("torch")
    samples = mixture(n_samples)
    theirs = torch.stft(torch.from_numpy(samples), 2048, hop, window=torch.hann_window(2048), return_complex=True)
    ours = centred_stft(samples, 2048, hop)
    assert ours.shape == theirs.numpy().transpose(0, 2, 1).shape
    assert np.abs(ours - theirs.numpy().transpose(0, 2, 1)).max() < 1e-4
    masked = ours * mixture(ours.size // 2)[:, : ours[0].size].reshape(ours.shape)
    back = torch.istft(
        torch.from_numpy(masked.transpose(0, 2, 1).copy()), 2048, hop, window=torch.hann_window(2048), length=n_samples
    )
    assert decibels(centred_istft(masked, n_samples, 2048, hop), back.numpy()) < -110
    inside = slice(0, n_samples - hop)
    assert decibels(centred_istft(ours, n_samples, 2048, hop)[:, inside], samples[:, inside]) < -110


def test_numbers_are_parts_by_channel_by_bin():
    spectrum = centred_stft(mixture(3000), 2048, 441)
    numbers = as_numbers(spectrum)
    assert numbers[3, 4 * 10 + 2] == spectrum[1, 3, 10].real
    assert numbers[3, 4 * 10 + 1] == spectrum[0, 3, 10].imag
    np.testing.assert_array_equal(from_numbers(numbers), spectrum)
