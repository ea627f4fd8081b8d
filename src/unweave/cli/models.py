"""``unweave models``: what there is, and where it lies."""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
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

        from unweave.models.added import added_names
        from unweave.models.catalog import find_weights, specs
        from unweave.models.hub import is_present
        from unweave.models.resolve import resolve

        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        for heading in ("model", "here", "stems", "licence"):
            table.add_column(heading, overflow="fold")
        for spec in specs().values():
            here = "yes" if is_present(find_weights(spec.weights)) else "no"
            table.add_row(spec.name, here, ", ".join(spec.stems), spec.licence)
        for name in added_names():
            table.add_row(name, "yes", ", ".join(resolve(name).spec.stems), "yours")
        Console().print(table)


@app.command()
def info(name: Name) -> None:
    """Show everything that is known about a model."""
    with failures_shown():
        from unweave.models.catalog import find_weights, specs
        from unweave.models.hub import home_of
        from unweave.models.resolve import resolve

        spec = resolve(name).spec
        for field in dataclasses.fields(spec):
            value = getattr(spec, field.name)
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            print(f"{field.name:20}{shown}")
        if name in specs():
            weights = find_weights(spec.weights)
            print(f"{'folder':20}{home_of(weights)}")
            for source in weights.sources:
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
        from unweave.models.resolve import resolve

        print(resolve(name).locate(True, lambda done, total, label: None))


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call the model.")],
    origin: Annotated[
        Path, typer.Argument(help="What unweave train left, or a checkpoint: a folder, a .tar.gz or a .zip.")
    ],
    config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--config", help="Its JSON in Spleeter's format, if it is not inside.", show_default=False),
    ] = None,
) -> None:
    """Keep a model of your own: trained here, or a checkpoint of the official layout."""
    with failures_shown():
        from unweave.models.added import add_model

        spec = add_model(name, origin, config)
        print(f"added {name}: {', '.join(spec.stems)}")


class ExportFormat(str, Enum):
    """What a model can be exported to."""

    onnx = "onnx"
    safetensors = "safetensors"


@app.command()
def export(
    name: Name,
    path: Annotated[Path, typer.Argument(help="The file to write.")],
    to: Annotated[ExportFormat, typer.Option("--to", help="The format.")] = ExportFormat.onnx,
) -> None:
    """Write a model to one file, its description inside; 'separate -p FILE' takes it again."""
    with failures_shown():
        from unweave.cli.progress import make_reporter
        from unweave.errors import OptionError
        from unweave.models.export import export_graph, export_onnx, export_safetensors
        from unweave.models.network import load_unets, network_path
        from unweave.models.resolve import resolve
        from unweave.models.spec import MaskModelSpec

        if path.suffix != f".{to.value}":
            raise OptionError(f"expected a path that ends in .{to.value}, got {path}")
        model = resolve(name)
        if not isinstance(model.spec, MaskModelSpec):
            raise OptionError(f"{name} is an ONNX file already: see 'unweave models path {name}'")
        if model.before is not None:
            raise OptionError(f"{name} runs {model.before.spec.name} first, and a file holds one model")
        with make_reporter(as_json=False) as reporter:
            location = model.locate(False, reporter.downloading)
        if location.suffix == ".onnx":
            if to is not ExportFormat.onnx:
                raise OptionError(f"the weights of {name} are in {location.with_suffix('.safetensors')} already")
            export_graph(network_path(model.spec, location), model.spec, path)
        else:
            writer = export_onnx if to is ExportFormat.onnx else export_safetensors
            writer(load_unets(model.spec, location), model.spec, path)
        print(path)
