"""Folders, archives and files that belong together, of other families than bags."""

import json
import os
import tempfile
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.families.htdemucs import small
from tests.families.openunmix.cases import random_weights
from tests.families.test_foreign import htdemucs, roformer
from tests.helpers.signals import tones
from tests.helpers.windows import windows_rules
from unweave import CheckpointError, Separator
from unweave.cli.main import app
from unweave.families import foreign
from unweave.families.brought import holds_checkpoints, opened
from unweave.families.openunmix.spec import OpenUnmixSpec
from unweave.models.added import added_names

STEMS = ("vocals", "drums", "bass", "other")


@pytest.fixture
def unmix(tmp_path):
    """A small Open-Unmix as it is published, one file for each stem."""
    spec = OpenUnmixSpec("x", ("vocals",), n_fft=64, hop_length=16, n_input_bins=20, hidden_width=4, recurrent_width=2)
    folder = tmp_path / "umx"
    folder.mkdir()
    for seed, stem in enumerate(STEMS):
        arrays = random_weights(spec.shapes, seed)
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        torch.save(state, folder / f"{stem}-1234567{seed}.pth")
        (folder / f"{stem}.json").write_text(json.dumps({"args": {"nfft": 64, "nb_channels": 2}}))
    (folder / "separator.json").write_text(json.dumps({"nfft": 64, "nhop": 16, "sample_rate": 44100.0}))
    return folder


@pytest.mark.parametrize("kind", ["folder", "zip", "files"])
def test_an_open_unmix_of_four_files(unmix, cache, kind):
    if kind == "zip":
        with zipfile.ZipFile(unmix.parent / "umx.zip", "w") as archive:
            for file in unmix.iterdir():
                archive.write(file, file.name)
    brought = {"folder": [unmix], "zip": [unmix.parent / "umx.zip"], "files": sorted(unmix.glob("*.pth"))}[kind]
    spec = foreign.add_checkpoint("mine", brought)
    assert (spec.family, spec.stems) == ("openunmix", STEMS)
    stems = Separator("mine").separate(tones(2000), 44100)
    assert all(np.isfinite(stem).all() for stem in stems.values())


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_archive_where_open_files_cannot_be_removed(unmix, cache, tmp_path, monkeypatch, is_whole):
    """Nor files that are mapped: what was unpacked is let go before it is removed, and a fault of it is still told."""
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(unpacked))
    if not is_whole:
        torch.save({"weight": torch.ones(3, 4)}, unmix / "vocals-12345670.pth")
    with zipfile.ZipFile(tmp_path / "umx.zip", "w") as archive:
        for file in unmix.iterdir():
            archive.write(file, file.name)
    with windows_rules(), nullcontext() if is_whole else pytest.raises(CheckpointError, match=r"umx\.zip"):
        foreign.add("mine", [tmp_path / "umx.zip"])
    assert added_names() == ["mine"] * is_whole
    assert list(unpacked.iterdir()) == []


@pytest.mark.parametrize("kept", ["vocals.pth", "a folder"])
def test_the_rate_of_one_stem_alone_is_in_the_file_that_all_stems_share(unmix, cache, kept):
    """As openunmix's trainer leaves it, which writes the rate nowhere else."""
    for file in (*unmix.glob("[dbo]*.pth"), *unmix.glob("[dbo]*.json")):
        file.unlink()
    (unmix / "vocals-12345670.pth").rename(unmix / "vocals.pth")
    (unmix / "separator.json").write_text(json.dumps({"nfft": 64, "nhop": 16, "sample_rate": 48000.0}))
    spec = foreign.add_checkpoint("mine", unmix / kept if kept == "vocals.pth" else unmix)
    assert (spec.stems, spec.sample_rate) == (("vocals", "instrumental"), 48000)


def test_a_file_for_open_unmix_says_nothing_about_what_else_lies_there(tmp_path, cache):
    path = tmp_path / "htdemucs.th"
    torch.save({name: torch.ones(shape) for name, shape in small.SPECS["four"].shapes().items()}, path)
    (tmp_path / "separator.json").write_text("[of another program]")
    assert foreign.add_checkpoint("mine", path).sample_rate == 44100


@pytest.mark.parametrize("is_told", [True, False])
def test_the_configuration_of_several_files_may_lie_elsewhere(unmix, cache, tmp_path, is_told):
    files = sorted(unmix.glob("*.pth"))
    elsewhere = tmp_path / "separator.json"
    (unmix / "separator.json").rename(elsewhere)
    elsewhere.write_text(json.dumps({"nfft": 64, "nhop": 16, "sample_rate": 48000.0}))
    brought, configuration = (files, elsewhere) if is_told else ([*files, elsewhere], None)
    assert foreign.add_checkpoint("mine", brought, configuration).sample_rate == 48000


def test_the_command_takes_several_files(unmix, cache):
    files = sorted(unmix.glob("*.pth"))
    result = CliRunner().invoke(app, ["models", "add", "mine", *map(str, files)])
    assert result.exit_code == 0, result.output
    size = sum(file.stat().st_size for file in files) / 1e6
    assert f"added mine: openunmix in 4 files, {size:.0f} MB, vocals, drums, bass, other" in result.stdout


def test_a_folder_with_a_checkpoint_and_a_configuration_of_another_name(tmp_path, cache):
    folder = tmp_path / "download"
    folder.mkdir()
    path = roformer(folder)
    path.with_suffix(".yaml").rename(folder / "settings.yaml")
    assert foreign.add_checkpoint("mine", folder).stems[0] == "vocals"


def test_what_is_no_single_model(tmp_path, cache):
    folder = tmp_path / "several"
    folder.mkdir()
    htdemucs(folder)
    roformer(folder)
    with pytest.raises(CheckpointError, match="holds 2 networks"):
        foreign.add_checkpoint("mine", folder)
    assert added_names() == []


def test_archives_lead_nowhere(unmix, tmp_path, cache):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for file in unmix.iterdir():
            archive.write(file, f"../../{file.name}")
    before = sorted(tmp_path.parent.iterdir())
    assert foreign.add_checkpoint("mine", tmp_path / "evil.zip").stems == STEMS
    assert sorted(tmp_path.parent.iterdir()) == before
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for place in ("a", "b"):
            archive.write(unmix / "vocals-12345670.pth", f"{place}/vocals.pth")
    with pytest.raises(CheckpointError, match="several files called"):
        foreign.add_checkpoint("other", tmp_path / "twice.zip")


def test_what_unweave_or_spleeter_trained_is_told_from_checkpoints(tmp_path, unmix):
    (tmp_path / "model.onnx").touch()
    (tmp_path / "model.safetensors").touch()
    assert not holds_checkpoints(tmp_path)
    assert holds_checkpoints(unmix)
    assert not holds_checkpoints(tmp_path / "absent")
    (unmix / "model.index").touch()
    assert not holds_checkpoints(unmix)


def test_a_broken_archive_is_one_line(tmp_path, cache):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 nothing")
    result = CliRunner().invoke(app, ["models", "add", "mine", str(tmp_path / "x.zip")])
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "x.zip cannot be used as a folder, .tar.gz or .zip: it is not an archive" in result.output


@pytest.mark.skipif(os.name != "posix", reason="limits of files are POSIX's")
def test_an_archive_that_finds_no_room_is_one_line(tmp_path):
    import resource

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.ckpt", bytes(100_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with (
            pytest.raises(CheckpointError, match=r"cannot unpack .*a\.zip: File too large"),
            opened([tmp_path / "a.zip"], None),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_only_yaml_in_a_folder_is_taken_whatever_json_is_there(tmp_path, cache):
    folder = tmp_path / "repository"
    folder.mkdir()
    path = roformer(folder)
    path.with_suffix(".yaml").rename(folder / "settings.yaml")
    (folder / "config.json").write_text('{"model_type": "mel_band_roformer"}')
    assert foreign.add_checkpoint("mine", folder).stems == ("vocals", "other")


def test_a_checkpoint_that_is_not_called_like_one(tmp_path, cache):
    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.ones(3)}, path)
    result = CliRunner().invoke(app, ["models", "add", "mine", str(path)])
    assert result.exit_code == 1
    assert (
        result.output
        == f"unweave: error: {path} is a checkpoint of PyTorch under another name: rename it to end in .ckpt\n"
    )
