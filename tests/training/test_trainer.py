"""Training works: it learns, it goes on where it stopped, and what it leaves separates."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import zipfile
from itertools import takewhile

import numpy as np
import onnx
import pytest
import torch
from accelerate import Accelerator

from tests.helpers.band import RATE, STEMS, changed, small_plan, stems, write_tracks
from tests.helpers.signals import error_db
from unweave import ModelError, OptionError, Separator
from unweave.cli.training_progress import ShownRun
from unweave.evaluation.metrics import sdr
from unweave.families.add import add_model
from unweave.families.torch_network import new_network
from unweave.training.checkpoint import all_finite
from unweave.training.learner import Learner
from unweave.training.plan import LoopPlan, read_plan
from unweave.training.release import GRAPH, WEIGHTS
from unweave.training.spectrum import segment_samples
from unweave.training.tracks import TrainingTrack
from unweave.training.trainer import Watcher, freeze_norms, is_held_out, learning_rate, train

MARGIN_DB = 4.0  # that the trained toy must beat the mixture by, for each stem


@pytest.fixture(scope="session")
def tracks(tmp_path_factory):
    return write_tracks(tmp_path_factory.mktemp("tracks"))


def test_names_of_tracks_may_look_like_markup(capsys):
    with ShownRun() as shown:
        shown.decoding(0, 1, "Song [/live] [red]")
    assert "decoding 0 of 1  Song [/live] [red]" in capsys.readouterr().err


class Losses(Watcher):
    def __init__(self):
        self.values = []

    def step(self, step):
        self.values.append(step.loss)


def test_it_learns_to_separate_held_out_music(tmp_path, tracks, cache):
    losses = Losses()
    plan = small_plan(tmp_path, tracks, steps=150, validate_every_steps=50)
    result = train(plan, watcher=losses)
    assert result.is_finished
    assert np.mean(losses.values[-20:]) < 0.5 * np.mean(losses.values[:20])
    add_model("small", result.folder)
    separator = Separator("small", device="cpu")
    true = stems(99, 20.0)
    mixture = np.sum(list(true.values()), axis=0)
    estimates = separator.separate(mixture, RATE)
    for stem in STEMS:
        assert sdr(true[stem], estimates[stem]) > sdr(true[stem], mixture) + MARGIN_DB, stem
    card = (result.folder / "README.md").read_text()
    assert "CC0-1.0" in card
    assert "| 150 |" in card
    assert [point["step"] for point in result.state.curve] == [50, 100, 150]


def test_what_comes_out_is_the_same_in_onnx_and_pytorch(tmp_path, tracks, cache):
    from unweave.engines.torch import TorchSeparator
    from unweave.families.masking import MaskingSeparator
    from unweave.families.torch_network import load_network
    from unweave.models.export import read_exported_spec

    command = ("unweave", "train", os.fsdecode(b"caf\xe9.toml"))  # a name that is no UTF-8
    folder = train(small_plan(tmp_path, tracks, steps=3), command=command).folder
    assert r"caf\udce9.toml" in (folder / "README.md").read_text()
    spec = read_exported_spec(folder / GRAPH)
    assert spec == read_exported_spec(folder / WEIGHTS)
    separator = Separator(str(folder / GRAPH), quality="exact", device="cpu")
    segment = np.sum(list(stems(7).values()), axis=0)[:, : spec.segmentation.length]
    segment = np.pad(segment, [(0, 0), (0, spec.segmentation.length - segment.shape[1])])
    expected = MaskingSeparator(separator.spec, separator.loaded[0].masking.network).separate(
        segment, [0, 1, 2], is_first=True
    )
    for location in (folder / WEIGHTS, folder / GRAPH):
        in_torch = TorchSeparator(separator.spec, load_network(spec, location), "cpu", "float32")
        assert error_db(in_torch.separate(segment, [0, 1, 2], is_first=True), expected) < -60


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_stopped_and_resumed_equals_unbroken(tmp_path, tracks, optimizer):
    settings = {"steps": 6, "optimizer": optimizer}
    plan = small_plan(tmp_path, tracks, **settings)
    unbroken = train(plan).state
    counted = iter(range(100))
    broken = changed(small_plan(tmp_path / "broken", tracks, **settings), "data", cache=plan.data.cache)
    first = train(broken, should_stop=lambda: next(counted) == 3)
    assert not first.is_finished
    assert first.state.step == 4
    second = train(broken)
    assert second.is_finished
    for kind in ("network", "average", "best"):
        for name, tensor in unbroken.tensors[kind].items():
            torch.testing.assert_close(second.state.tensors[kind][name], tensor, rtol=0, atol=0)
    assert [p["sdr_db"] for p in second.state.curve] == [p["sdr_db"] for p in unbroken.curve]


def test_another_model_in_the_output_is_not_overwritten(tmp_path, tracks):
    plan = small_plan(tmp_path, tracks, steps=1)
    train(plan)
    with pytest.raises(OptionError, match="belongs to another model"):
        train(changed(plan, "model", widths=(8, 24)))
    assert train(changed(plan, "model", widths=(8, 24)), restart=True).is_finished


def test_a_damaged_checkpoint_is_refused(tmp_path, tracks):
    from unweave.errors import CheckpointError

    plan = small_plan(tmp_path, tracks, steps=1)
    path = train(plan).folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        train(plan)


def test_a_checkpoint_with_one_bit_changed_is_refused(tmp_path, tracks):
    """PyTorch loads such a file without a word."""
    from unweave.errors import CheckpointError

    plan = small_plan(tmp_path, tracks, steps=1)
    path = train(plan).folder / "checkpoint.pt"
    with zipfile.ZipFile(path) as archive:
        weights = max(
            (each for each in archive.infolist() if "/data/" in each.filename), key=lambda each: each.file_size
        )
    raw = bytearray(path.read_bytes())
    raw[weights.header_offset + weights.file_size // 2] ^= 0x40
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"damaged: the checksum of .*--restart"):
        train(changed(plan, "training", steps=2))


def test_the_best_is_not_measured_on_other_tracks(tmp_path, tracks):
    """A score on tracks that were easier is not to be beaten: otherwise nothing that is learnt later would be kept."""
    plan = small_plan(tmp_path, tracks, steps=1, validate_every_steps=1)
    path = train(plan).folder / "checkpoint.pt"
    saved = torch.load(path, weights_only=True)
    torch.save({**saved, "best_sdr_db": 99.0}, path)
    longer = changed(plan, "training", steps=2)
    assert train(longer).state.best_step == 1
    torch.save({**saved, "best_sdr_db": 99.0}, path)
    assert train(changed(longer, "data", held_out=("song 1",))).state.best_step == 2
    torch.save({**saved, "best_sdr_db": 99.0}, path)
    assert "best" not in train(changed(longer, "data", held_out=())).state.tensors


def test_a_pattern_that_holds_nothing_out_is_told(tmp_path, tracks, caplog):
    plan = changed(small_plan(tmp_path, tracks, steps=1), "data", held_out=("song 0", "sing*"))
    train(plan)
    assert [record.getMessage() for record in caplog.records if "held_out" in record.getMessage()] == [
        "no track fits the pattern 'sing*' of data.held_out, so nothing is held out for it"
    ]


def test_a_name_with_brackets_fits_itself(tmp_path, tracks):
    plan = changed(small_plan(tmp_path, tracks), "data", held_out=("Song [live]", "demo*"))
    names = ("Song [live]", "Song l", "demo 2", "Demo")
    assert [is_held_out(TrainingTrack(name, (), "", 1.0), plan) for name in names] == [True, True, True, False]


def test_sigterm_leaves_a_checkpoint(tmp_path, tracks):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'output = "out"\n[model]\nstems = {json.dumps(STEMS)}\nwidths = [8, 16]\nn_fft = 512\nhop_length = 128\n'
        f"n_bins = 256\nn_frames = 64\nsample_rate = {RATE}\n[data]\nsegment_frames = 32\n"
        f'[[data.sources]]\npath = "{tracks}"\n[training]\nsteps = 100000\nprecision = "no"\n'
        "log_every_steps = 1\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "unweave", "train", plan], stderr=subprocess.PIPE, text=True, env=os.environ
    )
    head = list(takewhile(lambda line: not line.startswith("step "), process.stderr))
    assert process.poll() is None, head
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "stopped at step" in errors
    assert (tmp_path / "out" / "checkpoint.pt").stat().st_size > 1000
    assert not (tmp_path / "out" / GRAPH).exists()


def test_an_output_that_cannot_be_written_is_named_before_anything_is_decoded(tmp_path, tracks):
    (tmp_path / "file").write_text("in the way")
    plan = dataclasses.replace(small_plan(tmp_path, tracks), output=tmp_path / "file" / "trained")
    with pytest.raises(OptionError, match="cannot write to the output folder"):
        train(plan)
    assert not (tmp_path / "cache").exists()


def test_two_runs_do_not_share_an_output(tmp_path, tracks):
    plan = small_plan(tmp_path, tracks, steps=2)

    class Meanwhile(Watcher):
        def step(self, step):
            with pytest.raises(OptionError, match="another run is training in"):
                train(plan)
            self.is_refused = True

    watcher = Meanwhile()
    train(plan, watcher=watcher)
    assert watcher.is_refused
    assert train(plan).is_finished  # once the first has ended


def test_early_stopping(tmp_path, tracks):
    plan = small_plan(tmp_path, tracks, steps=40, validate_every_steps=1, patience=2, learning_rate=1e-9)
    state = train(plan).state
    assert state.step < 40
    assert state.n_without_gain == 2


def test_licences_limit_what_is_trained_on(tmp_path, tracks):
    plan = changed(small_plan(tmp_path, tracks), "data", licences=("MIT",))
    with pytest.raises(OptionError, match="no track has a licence of MIT"):
        train(plan)


@pytest.mark.parametrize("options", [{"attention_gates": True}, {"residual_blocks": True}, {"head": "softmax"}])
def test_the_classic_network_and_its_options(tmp_path, tracks, cache, options):
    plan = changed(
        small_plan(tmp_path, tracks, steps=2), "model", network="unets", widths=(2, 2, 3, 3, 4, 4), n_bins=64, **options
    )
    plan = changed(plan, "data", segment_frames=64)
    folder = train(plan).folder
    onnx.checker.check_model(folder / GRAPH, full_check=True)
    assert b".py" not in (folder / GRAPH).read_bytes()  # PyTorch's exporter notes the lines of our code
    separator = Separator(str(folder / GRAPH), device="cpu")
    estimates = separator.separate(np.sum(list(stems(3).values()), axis=0), RATE)
    assert set(estimates) == set(STEMS)


@pytest.mark.parametrize("attends", [False, True])
def test_fine_tuning_starts_from_given_weights_and_keeps_the_norms(tmp_path, tracks, cache, attends):
    first = train(small_plan(tmp_path / "first", tracks, steps=2))
    plan = changed(
        small_plan(tmp_path / "second", tracks, steps=1, learning_rate=1e-12, weight_decay=0),
        "model",
        start=str(first.folder / WEIGHTS),
        time_attention=attends,
    )
    second = train(plan)
    after = second.state.tensors["network"]
    assert any(name.startswith("attention.") for name in after) == attends
    assert f", from the weights of {first.folder.name}, with" in (second.folder / "README.md").read_text()
    for name, before in first.state.tensors["best"].items():
        tensor = after[name]
        if "running" in name or "num_batches" in name:
            torch.testing.assert_close(tensor, before, rtol=0, atol=0)
        else:
            torch.testing.assert_close(tensor, before, rtol=0, atol=1e-6)


def test_u_nets_have_no_place_for_attention_over_time(tmp_path, tracks):
    from tests.helpers.toys import TOY
    from unweave.families.torch_network import new_network, save_network

    save_network(new_network(TOY), TOY, tmp_path / WEIGHTS)
    plan = changed(small_plan(tmp_path, tracks), "model", start=str(tmp_path / WEIGHTS), time_attention=True)
    with pytest.raises(ModelError, match="cannot have attention over time"):
        train(plan)


def test_freezing_reaches_every_norm():
    from tests.helpers.toys import TOY
    from unweave.families.torch_network import new_network

    network = new_network(TOY).train()
    freeze_norms(network)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert network.training


def test_the_learning_rate_rises_and_falls():
    loop = LoopPlan(steps=1000, warm_up_steps=100, learning_rate=1.0, final_learning_rate=0.1)
    assert learning_rate(0, loop) == 0.01
    assert learning_rate(100, loop) == 1.0
    assert learning_rate(550, loop) == pytest.approx(0.55)
    assert learning_rate(1000, loop) == pytest.approx(0.1)


UNETS = 'network = "unets"\nwidths = [2, 2, 3, 3, 4, 4]\nn_bins = 64\n'
BANDS = "widths = [8, 16]\nn_bins = 256\n"


@pytest.mark.parametrize(
    ("network", "frozen"),
    [(UNETS, "true"), (UNETS, "false"), (BANDS, "false")],
    ids=["unets, frozen norms", "unets", "bands"],
)
def test_two_processes_train_together(tmp_path, tracks, network, frozen):
    """They share the steps: what comes out is one model, and not the one that either would have made alone."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(
            f'output = "{name}"\n[model]\nstems = {json.dumps(STEMS)}\n{network}n_fft = 512\nhop_length = 128\n'
            f'n_frames = 64\nsample_rate = {RATE}\n[data]\nsegment_frames = 64\nheld_out = ["song 0"]\n'
            f'validation_segments = 2\n[[data.sources]]\npath = "{tracks}"\n[training]\nsteps = 4\nbatch_size = 2\n'
            f'precision = "no"\nvalidate_every_steps = 2\nfrozen_norms = {frozen}\n'
        )
    alone = train(read_plan(tmp_path / "one.toml")).state
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "unweave", "train"]
    run = subprocess.run(
        [*command, tmp_path / "two.toml"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert (tmp_path / "two" / GRAPH).is_file()
    assert run.stderr.count("SDR") == 2  # one process validates
    assert run.stdout.count("use it with") == 1  # and tells
    together = state_of(tmp_path / "two")
    assert together["step"] == 4
    weights = together["tensors"]["network"]
    moved = [name for name, tensor in alone.tensors["network"].items() if not tensor.equal(weights[name])]
    assert len(moved) > 10


def test_what_no_output_depends_on_is_frozen():
    from tests.helpers.toys import TOY
    from unweave.families.torch_network import new_network
    from unweave.training.learner import freeze_unused

    network = new_network(TOY).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.get_rng_state()
    unused = freeze_unused(network, TOY)
    assert unused == [f"stems.{stem}.encoder_norms.5.{part}" for stem in range(2) for part in ("weight", "bias")]
    assert network.training
    assert torch.get_rng_state().equal(random)
    assert all(tensor.equal(before[name]) for name, tensor in network.state_dict().items())
    output = network(torch.rand(2, 2, 64, 64))
    output.sum().backward()
    assert all((each.grad is not None) == each.requires_grad for each in network.parameters())


def state_of(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


@pytest.mark.parametrize("log_every_steps", [1, 100])
def test_a_run_that_diverges_goes_on_from_the_last_good_checkpoint(tmp_path, tracks, log_every_steps):
    settings = {"steps": 8, "validate_every_steps": 100, "log_every_steps": log_every_steps}
    plan = small_plan(tmp_path, tracks, **settings)
    counted = iter(range(100))
    folder = train(plan, should_stop=lambda: next(counted) == 2).folder
    good = (folder / "checkpoint.pt").read_bytes()
    # Every step would save, if it may.
    too_fast = changed(plan, "training", learning_rate=1e30, checkpoint_minutes=1e-9)
    with pytest.raises(OptionError, match=r"try a smaller learning_rate: .* starts again from step 3"):
        train(too_fast)
    assert (folder / "checkpoint.pt").read_bytes() == good
    result = train(plan)
    assert result.is_finished
    assert result.state.step == 8
    assert all_finite(result.state.tensors)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_never_saved(tmp_path, tracks, monkeypatch, value):
    """Not between two reports, and not when the run is stopped right then."""
    from unweave.training import learner

    weighted_loss, steps = learner.weighted_loss, iter(range(100))
    monkeypatch.setattr(
        learner, "weighted_loss", lambda *arguments: weighted_loss(*arguments) * (value if next(steps) == 1 else 1)
    )
    stops = iter([False, True])
    with pytest.raises(OptionError, match="starts again from the beginning"):
        train(small_plan(tmp_path, tracks, log_every_steps=100), should_stop=lambda: next(stops))
    assert not (tmp_path / "trained" / "checkpoint.pt").exists()
    assert not (tmp_path / "trained" / WEIGHTS).exists()


def test_weights_that_a_finite_loss_broke_are_never_saved(tmp_path, tracks, monkeypatch):
    from unweave.training import learner

    learn = learner.Learner.learn

    def breaking(self, batch, step):
        loss = learn(self, batch, step)
        with torch.no_grad():
            next(self._plain.parameters()).view(-1)[0] = float("inf")
        return loss

    monkeypatch.setattr(learner.Learner, "learn", breaking)
    with pytest.raises(OptionError, match="no longer finite"):
        train(small_plan(tmp_path, tracks, steps=1))
    assert not (tmp_path / "trained" / "checkpoint.pt").exists()


def test_a_checkpoint_of_weights_that_are_no_numbers_is_refused(tmp_path, tracks):
    from unweave.errors import CheckpointError

    plan = small_plan(tmp_path, tracks, steps=1)
    folder = train(plan).folder
    state = state_of(folder)
    next(iter(state["tensors"]["network"].values())).view(-1)[0] = float("nan")
    torch.save(state, folder / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="--restart"):
        train(plan)
    assert train(plan, restart=True).is_finished


def test_a_checkpoint_goes_on_with_the_plan_of_today(tmp_path, tracks):
    plan = small_plan(tmp_path, tracks, steps=2, optimizer="adamw", weight_decay=0.5)
    train(plan)
    longer = changed(plan, "training", steps=4, weight_decay=0.25)
    with pytest.raises(OptionError, match=r"the optimizer was adamw, and the plan says sgd.*--restart"):
        train(changed(longer, "training", optimizer="sgd"))
    state = train(longer).state
    assert state.step == 4
    assert {group["weight_decay"] for group in state.tensors["optimizer"]["param_groups"]} == {0.25}


class OtherGradient(torch.autograd.Function):
    """The same numbers forwards, others backwards."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


class Compiled(torch.nn.Module):
    """What `torch.compile` returns in these tests, with gradients times ``factor``."""

    def __init__(self, network, factor=1.0):
        super().__init__()
        self.network, self.factor, self.n_calls = network, factor, 0

    def forward(self, magnitudes):
        self.n_calls += 1
        return OtherGradient.apply(self.network(magnitudes), self.factor)


def compile_with(monkeypatch, factor):
    """Has `torch.compile` make `Compiled` networks; returns the list of them."""
    made = []

    def replaced(what):
        if not isinstance(what, torch.nn.Module):
            return what
        made.append(Compiled(what, factor))
        return made[-1]

    monkeypatch.setattr(torch, "compile", replaced)
    return made


@pytest.mark.parametrize("factor", [float("nan"), -1.0])
def test_a_network_that_is_compiled_wrongly_is_trained_without_compiling(tmp_path, tracks, monkeypatch, caplog, factor):
    plain, compiled = Losses(), Losses()
    train(small_plan(tmp_path / "plain", tracks), watcher=plain)
    compile_with(monkeypatch, factor)
    train(small_plan(tmp_path / "compiled", tracks, compile=True), watcher=compiled)
    assert compiled.values == plain.values
    assert "trained without compiling" in caplog.text


@pytest.mark.parametrize("network", ["bands", "unets"])
def test_a_network_that_is_compiled_rightly_stays_compiled(tmp_path, tracks, monkeypatch, caplog, network):
    """Neither its norms nor its dropout notice that it was looked at."""

    def plan(name, **loop):
        widths = {"bands": (8, 16), "unets": (4,) * 6}[network]
        small = small_plan(tmp_path / name, tracks, steps=3, frozen_norms=False, **loop)
        return changed(changed(small, "model", network=network, widths=widths), "data", segment_frames=64)

    plain, compiled = Losses(), Losses()
    before = train(plan("plain"), watcher=plain).state
    made = compile_with(monkeypatch, 1.0)
    after = train(plan("compiled", compile=True), watcher=compiled).state
    assert compiled.values == plain.values
    for name, tensor in before.tensors["network"].items():
        assert tensor.equal(after.tensors["network"][name]), name
    assert [each.n_calls for each in made] == [1 + 3]  # one to see whether it is right
    assert "compil" not in caplog.text


def test_silence_does_not_tell_whether_a_network_is_compiled_rightly(tmp_path, tracks, monkeypatch, caplog):
    plan = small_plan(tmp_path, tracks, compile=True)
    spec = plan.model.to_spec("small")
    compile_with(monkeypatch, -1.0)
    learner = Learner(plan, spec, new_network(spec), Accelerator(cpu=True))
    shape = (2, len(STEMS), 2, segment_samples(spec, 32))
    learner.learn(np.zeros(shape, np.float32), 0)
    assert "compil" not in caplog.text
    learner.learn(np.random.default_rng(0).standard_normal(shape, np.float32), 1)
    assert "trained without compiling" in caplog.text
