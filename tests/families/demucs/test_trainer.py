"""What Demucs' own trainer keeps: the file from which it goes on, which is not the one that it publishes."""

import dataclasses

import pytest
import torch

from tests.families.hdemucs import small as hdemucs
from tests.families.htdemucs import small as htdemucs
from unweave.families import foreign
from unweave.families.demucs.trainer import trainer_arguments
from unweave.families.hdemucs.recognise import recognise as recognise_hdemucs
from unweave.families.htdemucs.recognise import recognise as recognise_htdemucs
from unweave.models.added import added_model_folder
from unweave.models.foreign import read_arrays

SETTINGS = {
    "dset": {
        "sources": ["vocals", "bass", "drums", "other"], "samplerate": 48000, "channels": 2, "segment": 10, "shift": 1,
    },
    "augment": {"repitch": {"proba": 0.2, "max_tempo": 12}},
    "model_segment": None,
    "model": "htdemucs",
}  # fmt: skip


def checkpoint(tmp_path, **changes):
    """As Demucs' solver saves it, with the weights of the last epoch and the best ones."""
    spec = htdemucs.SPECS["four"]
    random = torch.Generator().manual_seed(0)
    last, best = (
        {name: torch.randn(shape, generator=random) * 0.1 for name, shape in spec.shapes().items()} for _ in range(2)
    )
    settings = {**SETTINGS, "htdemucs": {"t_heads": spec.t_heads, "nfft": spec.n_fft}}
    package = {"state": last, "optimizer": {"state": {}}, "history": [{"train": {"loss": 0.5}}], "best_state": best}
    path = tmp_path / "checkpoint.th"
    torch.save({**package, "args": settings, **changes}, path)
    return path, last, best


def test_stems_rate_and_heads_are_those_of_the_training(tmp_path, cache):
    path, _, best = checkpoint(tmp_path)
    spec = foreign.add_checkpoint("mine", path)
    assert spec.stems == ("vocals", "bass", "drums", "other")
    assert spec.sample_rate == 48000
    assert f'"t_heads": {htdemucs.SPECS["four"].t_heads}' in spec.settings
    kept = read_arrays(added_model_folder("mine"))
    assert all(torch.equal(torch.from_numpy(kept[name].copy()), array) for name, array in best.items())


def test_before_the_first_validation_there_are_no_best_weights(tmp_path, cache):
    path, last, _ = checkpoint(tmp_path, best_state=None)
    foreign.add_checkpoint("mine", path)
    kept = read_arrays(added_model_folder("mine"))
    assert all(torch.equal(torch.from_numpy(kept[name].copy()), array) for name, array in last.items())


@pytest.mark.parametrize(
    ("kind", "changes", "seconds"),
    [
        ("HTDemucs", {}, 7.8),  # as the published one was trained
        ("HTDemucs", {"augment": {"repitch": {"proba": 0, "max_tempo": 12}}}, 9),
        ("HTDemucs", {"htdemucs": {"use_train_segment": False}}, 40),
        ("HTDemucs", {"htdemucs": {"use_train_segment": False}, "model_segment": 20}, 20),
        ("HDemucs", {}, 40),
        ("HDemucs", {"model_segment": 44}, 44),
    ],
)
def test_segments_are_as_long_as_demucs_would_publish(kind, changes, seconds):
    settings = {**SETTINGS, kind.lower(): {}, **changes}
    assert trainer_arguments(settings, kind)["segment"] == pytest.approx(seconds)


def test_a_hybrid_demucs(tmp_path):
    spec = dataclasses.replace(hdemucs.SPECS["four"], stems=("vocals", "bass", "drums", "other"), sample_rate=48000)
    settings = {**SETTINGS, "hdemucs": {"nfft": spec.n_fft, "norm_groups": spec.norm_groups}}
    settings["model_segment"] = spec.segment_samples / 48000
    tensors = {name: torch.empty(shape) for name, shape in spec.shapes().items()}
    assert recognise_hdemucs(tensors, {"args": settings}) == spec


@pytest.mark.parametrize("args", [None, [], {"lr": 1}, {"htdemucs": {}}, {"dset": {}}, {"htdemucs": 1, "dset": {}}])
def test_other_settings_are_not_the_trainers(args):
    assert trainer_arguments(args, "HTDemucs") == {}


def test_a_yaml_file_wins_over_the_package_that_it_lies_beside():
    spec = dataclasses.replace(htdemucs.SPECS["four"], stems=("kick", "snare", "cymbals", "toms"))
    inside = {"sources": ["bombo", "redoblante", "platillos", "toms"], "segment": 1, "t_heads": 4}
    beside = {"instruments": list(spec.stems), "samplerate": 44100, "segment": spec.segment_samples / 44100}
    package = {"klass": "demucs.htdemucs.HTDemucs", "args": (), "kwargs": inside, "training": beside}
    tensors = {name: torch.empty(shape) for name, shape in spec.shapes().items()}
    assert recognise_htdemucs(tensors, package) == spec
