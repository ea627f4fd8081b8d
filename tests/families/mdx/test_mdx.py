"""MDX-Net against audio-separator's own recipe and PyTorch's network; `make_reference` made the figures."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

from tests.families.mdx.cases import CASES, EVERY, Size, mixture, mixtures, model
from tests.families.segments import decibels
from unweave.dsp.segments import SegmentCutter, SegmentJoiner
from unweave.engines.choose import Runtime
from unweave.errors import ModelError
from unweave.families.mdx import MdxSpec, open_separator, recognise, separate_track, write_network
from unweave.families.mdx.recipe import MdxSeparator, as_parts, from_parts
from unweave.models.checkpoints import read_tensors

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))
NETWORK_DB, RECIPE_DB = -100, -80
# Operator, shapes of its arrays, and what it is told, in ways that differ between ONNX and PyTorch.
TWINS = {
    "uneven borders": ("Conv", [(6, 4, 3, 2), (6,)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "groups": ("Conv", [(8, 2, 3, 3)], {"group": 2, "dilations": [2, 1]}),
    "transposed": ("ConvTranspose", [(4, 3, 3, 2), (3,)], {"strides": [3, 2], "pads": [1, 0, 1, 0]}),
    "transposed, wider": ("ConvTranspose", [(4, 3, 2, 2)], {"strides": [2, 2], "output_padding": [1, 1]}),
    "batch norm": ("BatchNormalization", [(4,)] * 4, {"epsilon": 0.01}),
    "instance norm": ("InstanceNormalization", [(4,)] * 2, {"epsilon": 0.01}),
    "product": ("MatMul", [(7, 5)], {}),
    "linear": ("Gemm", [(5, 4), (5,)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    "leaky": ("LeakyRelu", [], {"alpha": 0.3}),
    "sigmoid": ("Sigmoid", [], {}),
    "tanh": ("Tanh", [], {}),
    "difference": ("Sub", [(1, 4, 1, 7)], {}),
    "quotient": ("Div", [(7,)], {}),
    "turned": ("Transpose", [], {"perm": [3, 0, 2, 1]}),
    "joined": ("Concat", [(2, 4, 3, 7)], {"axis": 2}),
    "same": ("Identity", [], {}),
}
NAMES = [key.split("/")[1] for key in REFERENCE if key.startswith("plain/") and not key.endswith("network")]


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
    # As they are kept: the description as JSON, the weights by themselves, and no file of the original.
    safetensors.numpy.save_file({name: np.array(read.tensors[name]) for name in read.tensors}, folder / "w.safetensors")
    (folder / "net.onnx").unlink()
    stored = MdxSpec(**json.loads(json.dumps(dataclasses.asdict(spec))))
    assert stored == spec
    write_network(stored, read_tensors(folder / "w.safetensors").tensors, folder / "written")
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


def test_the_twin_in_pytorch_equals_the_reference(made):
    torch = pytest.importorskip("torch")
    from unweave.dsp.centred_stft import centred_stft
    from unweave.engines.torch_session import TorchSession
    from unweave.families.mdx.network import GraphNetwork

    case, separator = made
    spec, size = separator.spec, CASES[case][0]
    twin = GraphNetwork(model(size, spec.n_frames))
    arrays = {name.replace("/", "."): array for name, array in twin.state_dict().items()}
    assert arrays.keys() == spec.shapes.keys()
    assert all(tuple(arrays[name].shape) == shape for name, shape in spec.shapes.items())
    assert all(array.dtype == torch.float32 for array in arrays.values())
    parts = as_parts(centred_stft(mixture(spec.segment_samples), spec.n_fft, spec.hop_length), spec.n_bins)
    (found,) = TorchSession(twin, "cpu").run(parts[None])
    assert decibels(found.ravel()[::EVERY], REFERENCE[f"{case}/network"]) < NETWORK_DB
    (rough,) = TorchSession(twin, "cpu", "bfloat16").run(parts[None])
    assert NETWORK_DB < decibels(rough, found) < -20


@pytest.mark.parametrize("kind", sorted(TWINS))
def test_operators_of_the_twin_are_onnx_runtimes(tmp_path, kind):
    pytest.importorskip("torch")
    from unweave.engines.onnx import OnnxSession
    from unweave.engines.torch_session import TorchSession
    from unweave.families.mdx.network import GraphNetwork

    operator, shapes, attributes = TWINS[kind]
    chance = np.random.RandomState(3)
    arrays = [np.abs(chance.standard_normal(shape)).astype(np.float32) + 0.1 for shape in shapes]
    x = chance.standard_normal((2, 4, 9, 7) if operator != "Gemm" else (3, 4)).astype(np.float32)
    names = [f"a{k}" for k in range(len(arrays))]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *names], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in zip(names, arrays, strict=True)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    made.ir_version = 7
    onnx.save_model(made, tmp_path / "one.onnx")
    (expected,) = OnnxSession(tmp_path / "one.onnx", 1).run(x)
    (found,) = TorchSession(GraphNetwork(made), "cpu").run(x)
    assert decibels(found, expected) < -110


def test_an_operator_that_the_twin_lacks_is_named():
    pytest.importorskip("torch")
    from unweave.families.mdx.network import GraphNetwork

    made = model(CASES["plain"][0], 8)
    made.graph.node[2].op_type = "Pad"
    with pytest.raises(ModelError, match="operator Pad is not supported in PyTorch"):
        GraphNetwork(made)


@pytest.mark.slow
def test_a_network_of_full_size(tmp_path):
    """As large as UVR_MDXNET_KARA: 29.7 MB, from the file to a song's stems; shapes and memory show themselves here."""
    onnx.save_model(model(Size(2048, 32, n_levels=5, n_convs=3), 256), tmp_path / "net.onnx")
    read = read_tensors(tmp_path / "net.onnx")
    spec = recognise(read.tensors, {"mdx_n_fft_scale_set": 5120, "primary_stem": "Vocals"}, "x")
    (tmp_path / "out").mkdir()
    write_network(spec, read.tensors, tmp_path / "out")
    separator = open_separator(spec, tmp_path / "out", Runtime("cpu"))
    samples = mixture(300000)
    stem, complement = streamed(separator, samples, 44100)
    assert np.isfinite(stem).all()
    assert stem.std() > 0
    np.testing.assert_allclose(stem + complement, samples, atol=1e-4 * np.abs(stem).max())
