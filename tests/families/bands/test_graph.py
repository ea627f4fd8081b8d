"""The graph of the network over bands computes what PyTorch does, whatever the number of frames."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.helpers.signals import error_db
from unweave.errors import CheckpointError
from unweave.families.bands.graph import build_graph
from unweave.families.bands.path import bands_network_path
from unweave.families.torch_network import load_network, new_network, save_network, save_onnx
from unweave.models.spec import MaskModelSpec

SPEC = MaskModelSpec(
    name="toy", weights="toy", stems=("vocals", "drums", "piano", "other"), network="bands", head="softmax",
    n_filters=(8, 12, 16), n_fft=1024, hop_length=256, n_bins=512, n_frames=64, mask_exponent=1.0,
)  # fmt: skip
FOLDED = dataclasses.replace(
    SPEC, stems=("vocals", "drums", "other"), network_stems=SPEC.stems, folds=(("piano", "other"),)
)


def randomised(spec, seed=0):
    """A network none of whose parameters and buffers are what they are at first, where an error could hide."""
    network = new_network(dataclasses.replace(spec, stems=spec.network_stems or spec.stems, network_stems=(), folds=()))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
                values = torch.randn(tensor.shape, generator=random) * fan_in**-0.5
                tensor.copy_(values.abs() + 0.5 if name.endswith(("running_var", "norm.weight", "gain")) else values)
    return network.eval()


def run(graph, magnitudes):
    session = onnxruntime.InferenceSession(graph if isinstance(graph, bytes) else str(graph))
    return session.run(None, {session.get_inputs()[0].name: magnitudes[None]})[0][:, 0]


@pytest.mark.parametrize("n_frames", [16, 64, 112])
@pytest.mark.parametrize(
    "options", [{}, {"time_attention": True}, {"ensemble": 2}, {"ensemble": 3, "time_attention": True}]
)
@pytest.mark.parametrize("spec", [SPEC, FOLDED], ids=["all", "folded"])
def test_it_computes_what_pytorch_does(tmp_path, cache, spec, options, n_frames):
    spec = dataclasses.replace(spec, **options)
    network = randomised(spec)
    whole = dataclasses.replace(spec, stems=spec.network_stems or spec.stems, network_stems=(), folds=())
    save_network(network, whole, tmp_path / "model.safetensors")
    magnitudes = np.abs(np.random.default_rng(1).standard_normal((2, n_frames, 512))).astype(np.float32) ** 3
    with torch.inference_mode():
        expected = load_network(spec, tmp_path / "model.safetensors")(torch.from_numpy(magnitudes)[None])[:, 0].numpy()
    path = bands_network_path(spec, tmp_path / "model.onnx")
    onnx.checker.check_model(path, full_check=True)
    estimates = run(path, magnitudes)
    assert error_db(estimates, expected) < -100
    assert error_db(estimates.sum(0), magnitudes) < -110


def test_silence_is_separated_into_silence(tmp_path):
    tensors = {name: tensor.numpy() for name, tensor in randomised(SPEC).state_dict().items()}
    assert not run(build_graph(tensors, SPEC).SerializeToString(), np.zeros((2, 16, 512), np.float32)).any()


def test_without_weights_beside_it_the_exported_graph_is_taken(tmp_path, cache):
    save_onnx(randomised(SPEC), SPEC, tmp_path / "model.onnx")
    assert bands_network_path(SPEC, tmp_path / "model.onnx") == tmp_path / "model.onnx"


def test_weights_of_another_network_are_refused(tmp_path):
    tensors = {name: tensor.numpy() for name, tensor in randomised(SPEC).state_dict().items()}
    with pytest.raises(CheckpointError, match="not the weights of toy"):
        build_graph(tensors, dataclasses.replace(SPEC, time_attention=True))
    with pytest.raises(CheckpointError, match="not the weights of toy"):
        build_graph(tensors, dataclasses.replace(SPEC, n_bins=1024))
