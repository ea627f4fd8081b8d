"""MDX-Net against audio-separator's own recipe and PyTorch's network; `make_reference` made the figures."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.families.mdx.cases import CASES, EVERY, mixture, mixtures, model
from unweave.dsp.segments import SegmentCutter, SegmentJoiner
from unweave.engines.choose import Runtime
from unweave.errors import OptionError
from unweave.families.mdx import MdxSpec, open_separator, recognise, separate_track, write_network
from unweave.families.mdx.recipe import MdxSeparator, as_parts, from_parts
from unweave.models.checkpoints import read_tensors

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))
NETWORK_DB, RECIPE_DB = -100, -80
NAMES = [key.split("/")[1] for key in REFERENCE if key.startswith("plain/") and not key.endswith("network")]


def decibels(estimate, reference):
    error = float(np.sum((estimate.astype(np.float64) - reference) ** 2))
    return 10 * np.log10(max(error, 1e-300) / max(float(np.sum(reference.astype(np.float64) ** 2)), 1e-300))


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    """(case, separator) of a file that was read, recognised, written and loaded."""
    case = request.param
    size, n_fft, n_frames, compensation, denoise = CASES[case]
    folder = tmp_path_factory.mktemp(case)
    onnx.save_model(model(size, n_frames), folder / "net.onnx")
    settings = {"mdx_n_fft_scale_set": n_fft, "primary_stem": "Vocals", "compensate": compensation, "denoise": denoise}
    (folder / "net.json").write_text(json.dumps(settings))
    read = read_tensors(folder / "net.onnx")
    spec = recognise(read.tensors, read.configuration, case)
    (folder / "written").mkdir()
    write_network(spec, read.tensors, folder / "written")
    (folder / "net.onnx").unlink()
    stored = MdxSpec(**json.loads(json.dumps(dataclasses.asdict(spec))))
    assert stored == spec
    return case, open_separator(stored, folder / "written", Runtime("cpu"))


def test_the_description_says_what_was_read(made):
    case, separator = made
    spec = separator.spec
    size, *others = CASES[case]
    assert (spec.n_fft, spec.n_frames, spec.compensation, spec.denoise) == tuple(others)
    assert separator.stems == spec.all_stems == ("vocals", "instrumental")
    assert spec.n_bins == size.n_bins
    assert spec.shapes["first_conv.weight"] == (3, 4, 1, 1)
    assert spec.shapes.keys() == size.shapes().keys()


def test_the_network_equals_the_reference(made):
    from unweave.dsp.centred_stft import centred_stft

    case, separator = made
    spec = separator.spec
    parts = as_parts(centred_stft(mixture(spec.segment_samples), spec.n_fft, spec.hop_length), spec.n_bins)
    (found,) = separator._network.run(parts[None])
    assert found.shape == (1, 4, spec.n_bins, spec.n_frames)
    assert decibels(found.ravel()[::EVERY], REFERENCE[f"{case}/network"]) < NETWORK_DB


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_recipe_equals_the_reference(made, name):
    case, separator = made
    mix = mixtures(separator.segmentation.length, separator.segmentation.hop)[name]
    stems = separate_track(separator, mix)
    assert stems.shape == (2, *mix.shape)
    expected = REFERENCE[f"{case}/{name}"]
    if not expected.any():  # of silence the network's biases make a sound, which taking the mean cancels
        assert (case, name) == ("denoise", "silence")
        assert not stems.any()
    else:
        assert decibels(stems[..., ::EVERY], expected) < RECIPE_DB


def streamed(separator, samples, n_block, stems=(0, 1)):
    cutter, joiner = SegmentCutter(separator.segmentation, 2), SegmentJoiner(separator.segmentation)
    segments = []
    for start in range(0, samples.shape[1], n_block):
        segments += cutter.push(samples[:, start : start + n_block])
    segments += cutter.flush()
    joined = [joiner.push(separator.separate(part, stems, is_first=k == 0)) for k, part in enumerate(segments)]
    return np.concatenate(joined, axis=-1)[..., : samples.shape[1]]


def test_a_stream_is_the_whole_recipe_but_for_the_end(made):
    _, separator = made
    samples = mixture(4 * separator.segmentation.length)
    stream, whole = streamed(separator, samples, 1000), separate_track(separator, samples)
    inside = slice(0, samples.shape[1] - 2 * separator.segmentation.length)
    assert decibels(stream[..., inside], whole[..., inside]) < RECIPE_DB
    np.testing.assert_array_equal(stream, streamed(separator, samples, 7777))


@pytest.mark.parametrize("n_samples", [1, 500, 7168, 16000])
def test_the_shares_of_segments_sum_to_one(made, n_samples):
    _, separator = made

    class Whole(MdxSeparator):
        def estimate(self, segment):
            return segment

    whole = Whole(separator.spec, separator._network)
    samples = mixture(n_samples)
    stem, complement = streamed(whole, samples, 999)
    np.testing.assert_allclose(stem, samples, atol=1e-6)
    np.testing.assert_allclose(complement, (1 - separator.spec.compensation) * samples, atol=1e-6)


def test_silence_stays_silent(made):
    _, separator = made
    assert not streamed(separator, np.zeros((2, 20000), np.float32), 5000).any()


def test_chosen_stems_are_those_of_all(made):
    _, separator = made
    segment = mixture(separator.segmentation.length)
    every = separator.separate(segment, (0, 1), is_first=False)
    for chosen in ((1,), (0,), (1, 0), ()):
        parts = separator.separate(segment, chosen, is_first=False)
        np.testing.assert_array_equal(parts, every[list(chosen)])


def test_parts_are_those_of_left_then_right():
    spectrum = np.arange(2 * 3 * 5).reshape(2, 3, 5) * np.complex64(1 + 2j)
    parts = as_parts(spectrum, 4)
    assert parts.shape == (4, 4, 3)
    assert parts[0, 2, 1] == spectrum[0, 1, 2].real
    assert parts[3, 2, 1] == spectrum[1, 1, 2].imag
    back = from_parts(parts, 5)
    np.testing.assert_array_equal(back[..., :4], spectrum[..., :4])
    assert not back[..., 4:].any()


@pytest.mark.parametrize("runtime", [Runtime("mps"), Runtime("cpu", "bfloat16")])
def test_what_it_cannot_run_on_is_refused(made, tmp_path, runtime):
    _, separator = made
    with pytest.raises(OptionError, match="CPU in float32"):
        open_separator(separator.spec, tmp_path, runtime)
