"""Bags as people have them: a folder, several files, an archive; with their YAML, or known by their names."""

import json
import zipfile
from fractions import Fraction

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.numpy import save_file

from tests.helpers.signals import error_db, tones
from unweave import CheckpointError, ModelError, Separator
from unweave.cli.main import app
from unweave.families import foreign
from unweave.families.htdemucs.spec import HTDemucsSpec
from unweave.models.added import added_model_folder, added_names

# As small as a network can be: these tests make dozens.
SPEC = HTDemucsSpec(
    segment_samples=1024, n_fft=128, channels=8, channels_time=8, depth=1, bottom_channels=0, t_layers=1, t_heads=2
)
SIGNATURES = ("f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d")
IDENTITY = np.eye(4).tolist()


def kwargs(**changes):
    return {
        "sources": list(SPEC.stems), "audio_channels": 2, "samplerate": 44100, "nfft": SPEC.n_fft,
        "segment": Fraction(SPEC.segment_samples, SPEC.sample_rate), "t_heads": SPEC.t_heads, **changes,
    }  # fmt: skip


def weights(seed):
    rng = np.random.RandomState(seed)
    return {name: (0.1 * rng.standard_normal(shape)).astype(np.float16) for name, shape in SPEC.shapes().items()}


def member(path, seed, **changes):
    """A network as Demucs publishes it."""
    state = {name: torch.from_numpy(array) for name, array in weights(seed).items()}
    torch.save({"klass": "HTDemucs", "args": [], "kwargs": kwargs(**changes), "state": state}, path)
    return path


@pytest.fixture
def folder(tmp_path):
    """The four networks under the names that the CDN gives them."""
    folder = tmp_path / "htdemucs_ft"
    folder.mkdir()
    for seed, signature in enumerate(SIGNATURES):
        member(folder / f"{signature}-0000000{seed}.th", seed)
    return folder


def describe(folder, models=SIGNATURES, rows=IDENTITY):
    (folder / "htdemucs_ft.yaml").write_text(yaml.safe_dump({"models": list(models), "weights": rows}))


def alone(folder, seed, mixture):
    """What the network of that number makes of the mixture by itself."""
    foreign.add_checkpoint(f"alone{seed}", folder / f"{SIGNATURES[seed]}-0000000{seed}.th")
    return Separator(f"alone{seed}").separate(mixture, 44100)


def test_each_network_gives_its_stem(folder, cache):
    describe(folder)
    spec = foreign.add_checkpoint("ft", folder)
    assert spec.stems == SPEC.stems
    mixture = tones(2000)
    stems = Separator("ft").separate(mixture, 44100)
    for seed, name in enumerate(SPEC.stems):
        if name != "other":  # which takes what all stems together lack of the mixture
            np.testing.assert_array_equal(stems[name], alone(folder, seed, mixture)[name])
    assert error_db(sum(stems.values()), mixture) < -100


def test_all_networks_take_another_overlap(folder, cache):
    describe(folder)
    foreign.add_checkpoint("ft", folder)
    foreign.add_checkpoint("alone", folder / f"{SIGNATURES[0]}-00000000.th")
    mixture = tones(3000)
    usual, more, alone = (
        Separator(name, overlap=overlap).separate(mixture, 44100)["drums"]
        for name, overlap in (("ft", None), ("ft", 0.5), ("alone", 0.5))
    )
    np.testing.assert_array_equal(more, alone)
    assert error_db(more, usual) > -100


def test_without_its_yaml_the_published_bag_is_known_by_its_names(folder, cache):
    foreign.add_checkpoint("known", folder)
    describe(folder)
    foreign.add_checkpoint("told", folder)
    mixture = tones(2000)
    for name, stem in Separator("told").separate(mixture, 44100).items():
        np.testing.assert_array_equal(Separator("known").separate(mixture, 44100)[name], stem)


@pytest.mark.parametrize("kind", ["files", "zip", "hub"])
def test_however_it_is_brought(folder, cache, kind):
    describe(folder)
    foreign.add_checkpoint("expected", folder)
    if kind == "files":
        brought = sorted(folder.iterdir())
    elif kind == "zip":
        brought = [folder.parent / "ft.zip"]
        with zipfile.ZipFile(brought[0], "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"htdemucs_ft/{file.name}")
    else:  # as it lies at the model hub
        brought = [folder.parent / "hub"]
        brought[0].mkdir()
        metadata = {
            "klass": "demucs.htdemucs.HTDemucs",
            "args": "[]",
            "kwargs": json.dumps(kwargs(segment=SPEC.segment_samples / SPEC.sample_rate + 1e-9)),
        }
        for seed, signature in enumerate(SIGNATURES):
            save_file(weights(seed), brought[0] / f"{signature}.safetensors", metadata)
        describe(brought[0])
    foreign.add_checkpoint("mine", brought)
    mixture = tones(2000)
    expected = Separator("expected").separate(mixture, 44100)
    for name, stem in Separator("mine").separate(mixture, 44100).items():
        np.testing.assert_array_equal(stem, expected[name])


def test_the_command_says_what_it_found(folder, cache):
    result = CliRunner().invoke(app, ["models", "add", "ft", *map(str, sorted(folder.iterdir()))])
    assert result.exit_code == 0, result.output
    assert "added ft: a bag of htdemucs in 4 files" in result.stdout
    assert "drums, bass, other, vocals" in result.stdout


def test_a_network_in_a_folder_of_its_own_is_noticed_when_damaged(folder, cache):
    foreign.add_checkpoint("ft", folder)
    mixture = tones(2000)
    before = Separator("ft").separate(mixture, 44100)["drums"]
    network = sorted(cache.rglob("network.onnx"))[0]
    assert network.parent.name == "0"
    raw = bytearray(network.read_bytes())
    raw[len(raw) * 3 // 4] ^= 4
    network.write_bytes(raw)
    np.testing.assert_array_equal(Separator("ft").separate(mixture, 44100)["drums"], before)
    assert added_model_folder("ft").is_dir()


def swap(folder, **changes):
    member(folder / f"{SIGNATURES[2]}-00000002.th", 2, **changes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: next(folder.glob("04573f0d*")).unlink(), "needs the network 04573f0d"),
        (lambda folder: member(folder / "04573f0d-99.th", 9), "2 files are called so"),
        (lambda folder: swap(folder, sources=["drums", "bass", "vocals", "other"]), "different stems"),
        (lambda folder: swap(folder, segment=0.05), "different segments"),
        (lambda folder: describe(folder, rows=[[1.0, 0.0]] * 4), "weights for 2 stems"),
        (lambda folder: describe(folder, rows=[[0.0] * 4] * 4), "no weight at all"),
    ],
    ids=["missing", "twice", "stems", "segments", "too few weights", "no weight"],
)
def test_bags_that_do_not_go_together(folder, cache, spoil, message):
    describe(folder)
    spoil(folder)
    with pytest.raises(CheckpointError, match=message):
        foreign.add_checkpoint("ft", folder)
    assert added_names() == []


def test_networks_that_nothing_joins(folder, cache):
    for k, file in enumerate(sorted(folder.iterdir())):
        file.rename(folder / f"{k}.th")
    with pytest.raises(ModelError, match="nothing says how they go together"):
        foreign.add_checkpoint("ft", folder)
