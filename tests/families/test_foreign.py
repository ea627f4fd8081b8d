"""From anybody's checkpoint to stems: added, recognised, kept as arrays, run; and refused in one line."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner

from tests.families.checkpoint_files import tensors_of
from tests.families.hdemucs import small as hdemucs
from tests.families.htdemucs import small
from tests.families.roformer import cases
from tests.helpers.signals import error_db, tones
from unweave import CheckpointError, ModelError, OptionError, Separator
from unweave.cli.main import app
from unweave.families import foreign
from unweave.families.descriptions import from_json, to_json
from unweave.families.roformer import recognise as recognise_roformer
from unweave.models.added import added_model_folder, added_names
from unweave.models.foreign import ARRAYS, DESCRIPTION


def htdemucs(tmp_path):
    """A checkpoint as Demucs saves it: weights in half precision, and how the network was made."""
    spec = small.SPECS["four"]
    random = torch.Generator().manual_seed(0)
    state = {name: (torch.randn(shape, generator=random) * 0.1).half() for name, shape in spec.shapes().items()}
    kwargs = {
        "sources": list(spec.stems), "audio_channels": 2, "samplerate": 44100,
        "segment": spec.segment_samples / spec.sample_rate, "nfft": spec.n_fft, "t_heads": spec.t_heads,
    }  # fmt: skip
    path = tmp_path / "955717e8-8726e21a.th"
    torch.save({"klass": "HTDemucs", "args": [], "kwargs": kwargs, "state": state}, path)
    return path


def roformer(tmp_path, case="mel"):
    """A checkpoint as the training code saves it, with its YAML beside it."""
    _, configuration = cases.CASES[case]
    path = tmp_path / "model.ckpt"
    shapes = shapes_of(case)
    torch.save({name: torch.from_numpy(array) for name, array in cases.random_weights(shapes).items()}, path)
    path.with_suffix(".yaml").write_text(yaml.safe_dump(configuration))
    return path


def shapes_of(case):
    """Names and shapes of the arrays, as the reference has them."""
    lines = np.load(Path(cases.__file__).with_name("reference.npz"))[f"{case}/names"]
    named = (line.split(" ", 1) for line in lines)
    return {name: tuple(map(int, shape.strip("(),").split(","))) for name, shape in named}


@pytest.mark.parametrize("make", [htdemucs, roformer])
def test_from_a_checkpoint_to_stems(tmp_path, cache, make):
    path = make(tmp_path)
    spec = foreign.add_checkpoint("mine", path)
    assert "mine" in added_names()
    path.unlink()  # the pickle is never read again
    separator = Separator("mine")
    assert separator.stems == spec.stems
    mixture = tones(40_000)
    stems = separator.separate(mixture, 44100)
    assert error_db(sum(stems.values()), mixture) < -100
    assert all(np.isfinite(stem).all() for stem in stems.values())
    stream, parts = separator.stream(44100), []
    for start in range(0, 40_000, 7000):
        parts.append(stream.push(mixture[:, start : start + 7000]))
    parts.append(stream.flush())
    for name, stem in stems.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts], axis=1), stem)
    silent = separator.separate(np.zeros((1, 9000), np.float32), 44100)
    assert all(stem.shape == (1, 9000) and not stem.any() for stem in silent.values())


def test_the_complement_takes_what_the_stem_leaves(tmp_path, cache):
    spec = foreign.add_checkpoint("voice", roformer(tmp_path))
    assert spec.stems[0] == "vocals"
    assert len(spec.stems) == 2
    assert spec.rest_stem == spec.stems[1]


def test_the_command_says_what_it_found(tmp_path, cache):
    result = CliRunner().invoke(app, ["models", "add", "mine", str(htdemucs(tmp_path))])
    assert result.exit_code == 0, result.output
    assert "htdemucs" in result.output
    assert "drums, bass, other, vocals" in result.output
    assert "a minute of music takes about" in result.output
    listed = CliRunner().invoke(app, ["models", "list"])
    assert "mine" in listed.output


def test_where_it_cannot_run(tmp_path, cache):
    foreign.add_checkpoint("mine", htdemucs(tmp_path))
    with pytest.raises(OptionError, match="no device cuda:9"):
        Separator("mine", device="cuda:9")


def refused(result):
    lines = [line for line in result.output.splitlines() if line]
    return result.exit_code == 1 and len(lines) == 1 and "Traceback" not in result.output


def test_what_is_no_model_of_a_known_family(tmp_path, cache):
    torch.save({"weight": torch.ones(3), "bias": torch.ones(3)}, tmp_path / "x.ckpt")
    result = CliRunner().invoke(app, ["models", "add", "mine", str(tmp_path / "x.ckpt")])
    assert refused(result)
    assert "is of no family that unweave knows" in result.output
    assert added_names() == []


def test_what_lora_adds_to_another_checkpoint(tmp_path, cache):
    names = ("lora_A", "lora_B")
    torch.save({f"layers.0.0.layers.0.0.to_qkv.{name}": torch.ones(2, 2) for name in names}, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=r"x\.ckpt holds what LoRA adds .*: merge the two first"):
        foreign.add_checkpoint("mine", tmp_path / "x.ckpt")


def test_a_roformer_without_its_yaml(tmp_path, cache):
    path = roformer(tmp_path)
    path.with_suffix(".yaml").unlink()
    result = CliRunner().invoke(app, ["models", "add", "mine", str(path)])
    assert refused(result)
    assert "YAML" in result.output


@pytest.mark.parametrize("state", [{"encoder.0.conv.weight": torch.ones(3)}, {"extra.weight": torch.ones(3)}])
def test_what_is_refused_is_named(tmp_path, cache, state):
    path = htdemucs(tmp_path)
    package = torch.load(path, weights_only=True)
    torch.save({**package, "state": {**package["state"], **state}}, path)
    result = CliRunner().invoke(app, ["models", "add", "mine", str(path)])
    assert refused(result)
    assert result.output.startswith(f"unweave: error: {path.name}: the weights are of an HTDemucs")


@pytest.mark.parametrize(("family", "spec"), [("htdemucs", small.SPECS["odd"]), ("hdemucs", hdemucs.SPECS["odd"])])
def test_a_demucs_for_mono_signals_is_refused(tmp_path, family, spec):
    kwargs = {"sources": list(spec.stems), "segment": 0.25, "nfft": spec.n_fft, "samplerate": spec.sample_rate}
    kwargs |= {"norm_groups": 2} if family == "hdemucs" else {"t_heads": spec.t_heads}
    package = {"klass": {"htdemucs": "HTDemucs", "hdemucs": "HDemucs"}[family], "kwargs": kwargs}
    tensors = tensors_of(tmp_path, spec.shapes())
    with pytest.raises(CheckpointError, match="for mono signals, only stereo is supported"):
        import_module(f"unweave.families.{family}").recognise(tensors, package, "x")


def test_weights_that_are_no_numbers(tmp_path, cache):
    path = htdemucs(tmp_path)
    package = torch.load(path, weights_only=True)
    package["state"]["encoder.0.conv.bias"][3] = torch.nan
    torch.save(package, path)
    with pytest.raises(CheckpointError, match=r"955717e8-8726e21a\.th: .*encoder\.0\.conv\.bias"):
        foreign.add_checkpoint("mine", path)
    assert added_names() == []


@pytest.mark.parametrize("stem", ["../../evil", "vocals\n", "", "CON"])
def test_stems_that_are_no_names(tmp_path, cache, stem):
    path = htdemucs(tmp_path)
    package = torch.load(path, weights_only=True)
    package["kwargs"]["sources"][2] = stem
    torch.save(package, path)
    with pytest.raises(ModelError):
        foreign.add_checkpoint("mine", path)
    assert added_names() == []


@pytest.mark.parametrize("rate", [44, 10**9])
@pytest.mark.parametrize("make", [htdemucs, lambda folder: roformer(folder, "bs")])
def test_rates_that_no_music_has(tmp_path, cache, make, rate):
    path = make(tmp_path)
    settings = {"model": "htdemucs", "training": {"samplerate": rate, "segment": 20 if rate == 44 else 1}}
    if path.suffix == ".ckpt":
        settings = yaml.safe_load(path.with_suffix(".yaml").read_text())
        settings["audio"]["sample_rate"] = rate
    path.with_suffix(".yaml").write_text(yaml.safe_dump(settings))
    result = CliRunner().invoke(app, ["models", "add", "mine", str(path)])
    assert refused(result)
    assert f"the sample rate of {path.name} in Hz must be" in result.output
    assert added_names() == []


def test_segments_that_no_memory_holds(tmp_path, cache):
    path = roformer(tmp_path, "bs")
    settings = yaml.safe_load(path.with_suffix(".yaml").read_text())
    settings["audio"]["chunk_size"] = 352_800_000
    path.with_suffix(".yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(CheckpointError, match=r"model\.ckpt has segments of 8000 s; those of up to 600 s"):
        foreign.add_checkpoint("mine", path)
    assert added_names() == []


@pytest.mark.parametrize("file", [ARRAYS, DESCRIPTION])
def test_a_damaged_model_is_noticed_at_every_start(tmp_path, cache, file):
    foreign.add_checkpoint("mine", htdemucs(tmp_path))
    Separator("mine")
    path = added_model_folder("mine") / file
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)
    with pytest.raises(ModelError, match="damaged"):
        Separator("mine")


def test_a_damaged_network_is_made_again(tmp_path, cache):
    foreign.add_checkpoint("mine", htdemucs(tmp_path))
    mixture = tones(9000)
    before = Separator("mine").separate(mixture, 44100)["drums"]
    (network,) = cache.rglob("network.onnx")
    raw = bytearray(network.read_bytes())
    raw[len(raw) * 3 // 4] ^= 4
    network.write_bytes(raw)
    np.testing.assert_array_equal(Separator("mine").separate(mixture, 44100)["drums"], before)


def test_descriptions_go_through_json_unchanged():
    for description in (*small.SPECS.values(),):
        assert from_json(type(description), to_json(description)) == description


def test_no_family_takes_anothers_checkpoint(tmp_path):
    tensors = {name: np.zeros(shape, np.float16) for name, shape in small.SPECS["four"].shapes().items()}
    assert recognise_roformer(tensors, None, "x") is None
