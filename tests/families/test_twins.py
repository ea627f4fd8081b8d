"""Every family in PyTorch, as it runs on graphics cards: the stems of a segment are those of the graph."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.families.hdemucs import small as hdemucs
from tests.families.htdemucs import small as htdemucs
from tests.helpers.signals import error_db
from unweave.engines.choose import Runtime
from unweave.errors import CheckpointError, OptionError
from unweave.families.foreign import FAMILIES, add_checkpoint
from unweave.models.checkpoints import read_tensors

torch = pytest.importorskip("torch")

CPU = Runtime("cpu", n_threads=1)
CASES = [
    ("htdemucs", "six"), ("hdemucs", "four"), ("roformer", "bs_four"), ("roformer", "mel"), ("scnet", "masked"),
    ("scnet", "target"), ("mdx23c", "two"), ("mdx23c", "target"), ("openunmix", "four"), ("vr", "five"), ("vr", "six"),
    ("vr", "seven"), ("vr", "new_mixed"), ("mdx", "denoise"),
]  # fmt: skip


def stored_shapes(family, case):
    """Names and shapes of the arrays, as the reference has them."""
    with np.load(Path(__file__).parent / family / "reference.npz") as stored:
        lines = [line.split(" ", 1) for line in stored[f"{case}/names"]]
    return {name: tuple(map(int, shape.strip("(),").split(","))) for name, shape in lines}


def demucs(family, case, folder):
    small = {"htdemucs": htdemucs, "hdemucs": hdemucs}[family]
    spec = small.SPECS[case]
    return spec, small.random_weights(spec)


def mdx(case, folder):
    import onnx

    from tests.families.mdx.cases import CASES as SIZES
    from tests.families.mdx.cases import model
    from unweave.families.mdx import recognise

    size, n_fft, n_frames, compensation, denoise = SIZES[case]
    onnx.save_model(model(size, n_frames), folder / "net.onnx")
    settings = {"mdx_n_fft_scale_set": n_fft, "primary_stem": "Vocals", "compensate": compensation, "denoise": denoise}
    tensors = read_tensors(folder / "net.onnx").tensors
    return recognise(tensors, settings, case), tensors


def openunmix(case, folder):
    from tests.families.openunmix.cases import CASES as SIZES
    from tests.families.openunmix.cases import random_weights
    from unweave.families.openunmix import OpenUnmixSpec

    stems, sizes, settings = SIZES[case]
    weights = {}
    for seed, stem in enumerate(stems):
        own = random_weights(stored_shapes("openunmix", case), seed)
        weights |= {f"{stem}.{name}": array for name, array in own.items()}
    spec = OpenUnmixSpec(
        case, stems, prefixes=tuple(f"{stem}." for stem in stems), n_fft=settings["n_fft"], n_frames=40,
        hop_length=settings["n_hop"], n_input_bins=sizes["max_bin"], hidden_width=sizes["hidden_size"],
        recurrent_width=sizes["hidden_size"] // 2,
    )  # fmt: skip
    return spec, weights


def from_configuration(family, case, folder):
    cases = importlib.import_module(f"tests.families.{family}.cases")
    weights = cases.random_weights(stored_shapes(family, case))
    safetensors.numpy.save_file(weights, folder / "net.safetensors")
    tensors = read_tensors(folder / "net.safetensors").tensors
    told = cases.CASES[case]
    if family == "roformer":
        told = told[1]
    elif family == "vr":
        told = {**told[2], "primary_stem": told[3]}
    return importlib.import_module(f"unweave.families.{family}").recognise(tensors, told, case), tensors


def made(family, case, folder):
    """(description, arrays) of a small network of which every parameter is random."""
    if family in ("htdemucs", "hdemucs"):
        return demucs(family, case, folder)
    if family in ("mdx", "openunmix"):
        return {"mdx": mdx, "openunmix": openunmix}[family](case, folder)
    return from_configuration(family, case, folder)


@pytest.mark.parametrize(("family", "case"), CASES)
def test_stems_are_those_of_the_graph(family, case, tmp_path):
    spec, tensors = made(family, case, tmp_path)
    package = importlib.import_module(f"unweave.families.{family}")
    (tmp_path / "network").mkdir()
    package.write_network(spec, tensors, tmp_path / "network")
    separators = package.open_separator(spec, tmp_path / "network", CPU), package.open_twin(spec, tensors, CPU)
    assert separators[0].segmentation == separators[1].segmentation
    n_channels = getattr(spec, "audio_channels", 2)
    segment = htdemucs.signal(separators[0].segmentation.length, n_channels)
    stems = range(len(getattr(separators[0], "stems", spec.stems)))
    ours, twins = (separator.separate(segment, stems, is_first=True) for separator in separators)
    assert ours.std() > 1e-3
    assert error_db(twins, ours) < -95


def test_every_family_has_one():
    tested = {family for family, _ in CASES}
    assert tested == set(FAMILIES) - {"bag"}  # which is made of others
    for family in FAMILIES:
        assert callable(importlib.import_module(f"unweave.families.{family}").open_twin)


def test_arrays_of_another_network_are_refused(tmp_path):
    from unweave.families.vr import open_twin

    spec, tensors = made("vr", "five", tmp_path)
    arrays = {name: tensors[name] for name in tensors}
    arrays["out.weight"] = np.zeros((2, 99, 1, 1), np.float32)
    with pytest.raises(CheckpointError, match="five"):
        open_twin(spec, arrays, CPU)


def test_a_card_is_used_where_it_is_asked_for(tmp_path, cache, monkeypatch):
    """There is none here: PyTorch computes on the CPU instead."""
    from tests.families.test_foreign import htdemucs as checkpoint
    from unweave import Separator
    from unweave.engines import choose
    from unweave.engines.torch_session import TorchSession
    from unweave.families import twins

    add_checkpoint("mine", checkpoint(tmp_path))
    mixture = htdemucs.signal(5000)
    with pytest.raises(OptionError, match="no device cuda:7 here"):
        Separator("mine", device="cuda:7")
    opened = []

    def session(network, runtime):
        opened.append(runtime.device)
        return TorchSession(network, "cpu")

    expected = Separator("mine", device="cpu").separate(mixture, 44100)
    monkeypatch.setattr(choose, "require_torch_device", lambda device: None)
    monkeypatch.setattr(twins, "session", session)
    stems = Separator("mine", device="cuda:7").separate(mixture, 44100)
    assert opened == ["cuda:7"]
    for name, stem in stems.items():
        assert error_db(stem, expected[name]) < -95
