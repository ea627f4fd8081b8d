"""``unweave train``: from music with stems to a model of one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from unweave.cli.failures import EXIT_INTERRUPTED, failures_shown, interrupted, interrupts_deferred

if TYPE_CHECKING:
    from unweave.training.plan import Plan


def train(
    configuration: Annotated[Path, typer.Argument(help="The plan: TOML, or Spleeter's JSON.")],
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-d", "--data", help="With Spleeter's JSON: where the paths in its lists start."),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-o", "--output", help="Folder for checkpoint, journal and model, instead of the plan's."),
    ] = None,
    minutes: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--minutes", min=0.01, help="Stop, with a checkpoint, after so long; run it again to go on."),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, not at the checkpoint.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show details.")] = False,
) -> None:
    """Train a model; goes on where it stopped. Several devices: accelerate launch -m unweave train …"""
    with failures_shown(verbose):
        run_training(configuration, data, output=output, minutes=minutes, restart=restart)


def run_training(
    configuration: Path, data: Path | None, *, output: Path | None, minutes: float | None, restart: bool
) -> None:
    """Read the plan, train, and say where the model is; exits with the status of an interrupt when it was stopped."""
    import dataclasses
    import importlib.util

    from unweave.errors import OptionError

    if any(importlib.util.find_spec(name) is None for name in ("accelerate", "torch", "pydantic", "tensorboard")):
        raise OptionError("training needs: pip install 'unweave[train]'")
    from unweave.cli.training_progress import ShownRun
    from unweave.training.trainer import train

    plan = _plan(configuration, data)
    if output is not None:
        plan = dataclasses.replace(plan, output=output)
    if minutes is not None:
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
        return
    if not result.is_finished:
        print(f"stopped at step {result.state.step}; the same command goes on from there", file=sys.stderr)
        if interrupted.is_set():
            sys.exit(EXIT_INTERRUPTED)
        return
    print(f"{result.folder}: use it with -p {result.folder}/model.onnx, or unweave models add NAME {result.folder}")


def _plan(configuration: Path, data: Path | None) -> Plan:
    if configuration.suffix == ".json":
        from unweave.training.spleeter_plan import spleeter_plan

        return spleeter_plan(configuration, data or Path())
    from unweave.training.plan import read_plan

    return read_plan(configuration)
