"""``unweave models``: what there is, and where it lies."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Optional

import typer

from unweave.cli.failures import failures_shown

app = typer.Typer(no_args_is_help=True, help="List, fetch and locate models.")

Name = Annotated[str, typer.Argument(help="A model's name, as 'unweave models list' shows it.")]


@app.command("list")
def list_models() -> None:
    """List the models: name, whether the weights are here, stems, licence."""
    with failures_shown():
        import rich.box
        import rich.table
        from rich.console import Console

        from unweave.models.catalog import find_weights, specs
        from unweave.models.hub import is_present

        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        for heading in ("model", "here", "stems", "licence"):
            table.add_column(heading, overflow="fold")
        for spec in specs().values():
            here = "yes" if is_present(find_weights(spec.weights)) else "no"
            table.add_row(spec.name, here, ", ".join(spec.stems), spec.licence)
        Console().print(table)


@app.command()
def info(name: Name) -> None:
    """Show everything that is known about a model."""
    with failures_shown():
        from unweave.models.cache import weights_folder
        from unweave.models.catalog import find_spec, find_weights

        spec = find_spec(name)
        for field in dataclasses.fields(spec):
            value = getattr(spec, field.name)
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            print(f"{field.name:20}{shown}")
        print(f"{'folder':20}{weights_folder(spec.weights)}")
        for source in find_weights(spec.weights).sources:
            print(f"{'source':20}{source.location}")


@app.command()
def fetch(
    name: Name,
    origin: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--from", help="A folder, archive or URL to take the weights from.", show_default=False),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never open a connection.")] = False,
) -> None:
    """Bring a model's weights to this machine, verified."""
    with failures_shown():
        from unweave.cli.progress import make_reporter
        from unweave.models.catalog import specs
        from unweave.models.hub import ensure_weights

        known = specs()
        weights = known[name].weights if name in known else name
        with make_reporter(as_json=False) as reporter:
            folder = ensure_weights(weights, offline=offline, origin=origin, progress=reporter.downloading)
        print(folder)


@app.command()
def path(name: Name) -> None:
    """Print the folder with a model's weights; fails if they are not here."""
    with failures_shown():
        from unweave.models.catalog import find_spec
        from unweave.models.hub import ensure_weights

        print(ensure_weights(find_spec(name).weights, offline=True))
