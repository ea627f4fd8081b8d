"""A network learns from another's estimates: the loss is what it says, and the teacher stays as it was."""

import dataclasses

import pytest
import torch

from tests.helpers.band import STEMS, changed, small_plan, write_tracks
from tests.helpers.toys import TOY
from unweave import OptionError
from unweave.training.distillation import Taught
from unweave.training.losses import LOSSES, Estimate, Truth
from unweave.training.plan import DistillationPlan, parse_plan
from unweave.training.release import WEIGHTS
from unweave.training.spectrum import Transform, segment_samples
from unweave.training.trainer import Watcher, train

SPEC = dataclasses.replace(TOY, n_fft=512, hop_length=128, n_bins=257)
TRANSFORM = Transform(SPEC, torch.device("cpu"))


class Losses(Watcher):
    def __init__(self):
        self.values = []

    def step(self, step):
        self.values.append(step.loss)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    return write_tracks(tmp_path_factory.mktemp("tracks"), n_tracks=2, seconds=4.0)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, tracks):
    return train(small_plan(tmp_path_factory.mktemp("teacher"), tracks, steps=2)).folder / WEIGHTS


def first_loss(folder, tracks, start, distillation):
    """The loss of the first step from the weights in ``start``, whose norms are kept."""
    plan = changed(small_plan(folder, tracks, steps=2), "model", start=str(start))
    return loss_of_one_step(dataclasses.replace(plan, distillation=distillation))


def loss_of_one_step(plan):
    watcher = Losses()
    train(plan, watcher=watcher, should_stop=lambda: True)
    return watcher.values[0]


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_against_the_teacher_instead_of_the_truth(name):
    generator = torch.Generator().manual_seed(3)
    truth = Truth(TRANSFORM, 0.1 * torch.randn(2, 3, 2, segment_samples(SPEC, 64), generator=generator))
    share = torch.linspace(0.9, 0.2, SPEC.n_bins)  # the low bins go to the first stem
    taught = torch.stack([share * truth.mixture, (1 - share) * truth.mixture])
    target = Taught(TRANSFORM, truth.waveforms, magnitudes=taught, of=truth)
    as_taught, other = (LOSSES[name](Estimate(target, m)) for m in (taught, taught.flip(0)))
    assert as_taught < other - 1e-2
    if name in ("magnitude_l1", "spectrum_l1", "spectrum_l2", "waveform_l1"):
        assert float(as_taught) == pytest.approx(0, abs=1e-4)


def test_the_loss_is_the_shares_of_teacher_and_truth(tmp_path, tracks, teacher):
    from_truth = first_loss(tmp_path / "truth", tracks, teacher, None)
    by_itself = DistillationPlan(str(teacher), share=1.0)
    assert from_truth > 0.1
    assert first_loss(tmp_path / "teacher", tracks, teacher, by_itself) == pytest.approx(0, abs=1e-4)
    a_quarter = DistillationPlan(str(teacher), share=0.25)
    mixed = first_loss(tmp_path / "mixed", tracks, teacher, a_quarter)
    assert mixed == pytest.approx(0.75 * from_truth, rel=1e-3)


def test_a_stem_that_was_taken_before_is_taken_from_the_teacher_too(tmp_path, tracks, teacher):
    plan = changed(small_plan(tmp_path, tracks, steps=2), "model", start=str(teacher))
    plan = changed(plan, "augmentation", taken={"vocals": 1.0})
    plan = dataclasses.replace(plan, distillation=DistillationPlan(str(teacher), share=1.0))
    assert loss_of_one_step(plan) == pytest.approx(0, abs=1e-4)


def test_learning_brings_the_network_closer_to_its_teacher(tmp_path, tracks, teacher):
    plan = small_plan(tmp_path, tracks, steps=30, seed=5)
    watcher = Losses()
    result = train(dataclasses.replace(plan, distillation=DistillationPlan(str(teacher), share=1.0)), watcher=watcher)
    assert sum(watcher.values[-5:]) < 0.7 * sum(watcher.values[:5])
    card = (result.folder / "README.md").read_text()
    assert f"learning from the estimates of {teacher.parent.name} too" in card


def test_a_teacher_of_other_stems_is_refused(tmp_path, tracks, teacher):
    plan = changed(small_plan(tmp_path, tracks, steps=1), "model", stems=STEMS[:2])
    source = dataclasses.replace(plan.data.sources[0], groups={"skip": ("bass",)})
    plan = changed(plan, "data", sources=(source,))
    with pytest.raises(OptionError, match="cannot teach this model: its stems"):
        train(dataclasses.replace(plan, distillation=DistillationPlan(str(teacher))))


def test_segments_that_the_teacher_cannot_halve_are_refused(tmp_path, tracks):
    deeper = changed(small_plan(tmp_path / "deeper", tracks, steps=1), "model", widths=(8, 8, 8))
    teacher = train(deeper).folder / WEIGHTS
    plan = changed(small_plan(tmp_path, tracks, steps=1), "data", segment_frames=36)
    with pytest.raises(OptionError, match=r"segment_frames must be a multiple of 8 for .*, got 36"):
        train(dataclasses.replace(plan, distillation=DistillationPlan(str(teacher))))


def test_a_plan_names_its_teacher_from_its_own_folder(tmp_path):
    values = {"data": {"sources": [{"path": "music"}]}, "distillation": {"teacher": "both/model.safetensors"}}
    plan = parse_plan(values, tmp_path / "plan.toml")
    assert plan.distillation == DistillationPlan(str(tmp_path / "both" / "model.safetensors"), share=0.5)
    values["distillation"]["teacher"] = "unweave:5stems"
    assert parse_plan(values, tmp_path / "plan.toml").distillation.teacher == "unweave:5stems"
