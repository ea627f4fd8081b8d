"""``unweave train``: your own model, from music with separate stems."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from unweave.cli import options as shared
from unweave.cli.commands import PATH, argument, command, flag, number, option
from unweave.cli.failures import EXIT_INTERRUPTED, failures_shown, interrupted, interrupts_deferred

if TYPE_CHECKING:
    from unweave.training.plan import Plan


@command("train", short_help="Train a model.")
@argument("configuration", "PLAN", "The training plan: a TOML file, or a JSON configuration for Spleeter.", type=PATH)
@option(
    "-d",
    "--data",
    placeholder="FOLDER",
    type=PATH,
    help="With a Spleeter configuration: the folder that the paths in its lists are relative to.",
)
@option(
    "-o",
    "--output",
    placeholder="FOLDER",
    type=PATH,
    help="Folder for the checkpoint, journal and model; overrides the plan.",
)
@option(
    "--minutes",
    placeholder="MINUTES",
    type=number(float, 0.01),
    help="Save a checkpoint and stop after this many minutes; run the command again to continue.",
)
@flag("--restart", help="Ignore any checkpoint and start over.")
@shared.verbose
def train(
    configuration: Path,
    data: Path | None,
    output: Path | None,
    minutes: float | None,
    restart: bool,
    verbose: bool,
) -> None:
    """Train a model. The same command continues a run that was stopped.

    To use several devices or processes: accelerate launch -m unweave train PLAN.
    """
    with failures_shown(verbose):
        run_training(configuration, data, output=output, minutes=minutes, restart=restart)


def run_training(
    configuration: Path, data: Path | None, *, output: Path | None, minutes: float | None, restart: bool
) -> None:
    """Read the plan, train, and say where the model is; exits with the status of an interrupt when it was stopped."""
    import dataclasses
    import importlib.util
    import math

    from unweave.errors import OptionError

    if any(importlib.util.find_spec(name) is None for name in ("accelerate", "torch", "pydantic", "tensorboard")):
        raise OptionError('training needs: pip install "unweave[train]"')
    from unweave.cli.training_progress import ShownRun
    from unweave.training.trainer import train

    plan = _plan(configuration, data)
    if output is not None:
        plan = dataclasses.replace(plan, output=output)
    if minutes is not None:
        if not math.isfinite(minutes):
            raise OptionError(f"expected a number of minutes, got {minutes}")
        plan = dataclasses.replace(plan, training=dataclasses.replace(plan.training, max_minutes=minutes))
    command = ["unweave", *sys.argv[1:]]
    with ShownRun() as watcher, interrupts_deferred():
        result = train(
            plan,
            name=configuration.stem,
            restart=restart,
            watcher=watcher,
            should_stop=interrupted.is_set,
            command=command,
        )
    if not result.is_main:
        _leave()
    if not result.is_finished:
        print(f"stopped at step {result.state.step}; run the same command to continue", file=sys.stderr)
        if interrupted.is_set():
            sys.exit(EXIT_INTERRUPTED)
        return
    print(f"{result.folder}: use it with -p {result.folder}/model.onnx, or unweave models add NAME {result.folder}")


def _leave() -> NoReturn:
    """End a process that has nothing more to do, without Python's own end.

    PyTorch's threads may hold a tensor of the last exchange between the processes for a moment longer. If Python ends
    meanwhile, letting go of it aborts the process, and the launcher then stops all the others.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _plan(configuration: Path, data: Path | None) -> Plan:
    if configuration.suffix == ".json":
        from unweave.training.spleeter_plan import spleeter_plan

        return spleeter_plan(configuration, data or Path())
    from unweave.training.plan import read_plan

    return read_plan(configuration)
