"""``unweave models``: what there is, and where it lies."""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave.cli.failures import failures_shown

app = typer.Typer(no_args_is_help=True, help="List, download, add and export models.")

Name = Annotated[str, typer.Argument(help="A model's name, as 'unweave models list' shows it.")]


@app.command("list")
def list_models() -> None:
    """List all models: their names, whether their weights are on this machine, their stems and licences."""
    with failures_shown():
        import rich.box
        import rich.table
        from rich.console import Console
        from rich.text import Text

        from unweave.models.catalog import CASCADES, SHORT_NAMES
        from unweave.models.listing import list_models as listed_models

        models = listed_models()
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        table.add_column("model", no_wrap=True)
        for heading in ("here", "stems", "licence"):
            table.add_column(heading, overflow="fold")
        for model in models:
            here = "broken" if model.spec is None else "yes" if model.is_here else "no"
            stems = "" if model.spec is None else ", ".join(model.spec.stems)
            licence = "yours" if model.is_added or model.spec is None else model.spec.licence
            table.add_row(*map(Text, (model.name, here, stems, licence)))  # nothing in a name is markup
        Console().print(table)
        for model in models:
            if model.problem:
                print(f"{model.name} is broken: {model.problem}")
        for name, target in SHORT_NAMES.items():
            best = CASCADES.get(name)
            print(f"{name} is {best}, or {target} if weights cannot be fetched" if best else f"{name} is {target}")


@app.command()
def info(name: Name) -> None:
    """Show all there is to know about a model."""
    with failures_shown():
        from unweave.models.catalog import find_weights
        from unweave.models.hub import home_of
        from unweave.models.resolve import official_weights, resolve

        model = resolve(name)
        spec = model.spec
        for field in dataclasses.fields(spec):
            value = getattr(spec, field.name)
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            print(f"{field.name:20}{shown}")
        for weights in map(find_weights, official_weights(model)):
            print(f"{'folder':20}{home_of(weights)}")
            for source in weights.sources:
                print(f"{'source':20}{source.location}")


@app.command()
def fetch(
    name: Name,
    origin: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--from", help="Take the weights from this folder, archive or URL and nowhere else.", show_default=False
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
) -> None:
    """Download a model's weights, verify them and make them ready for use. Prints where they are."""
    with failures_shown():
        from unweave.cli.progress import make_reporter
        from unweave.engines.choose import Runtime
        from unweave.errors import OptionError
        from unweave.families.base import LoadOptions
        from unweave.families.load import load_resolved
        from unweave.models.catalog import find_weights
        from unweave.models.hub import ensure_weights, is_packaged
        from unweave.models.resolve import official_weights, resolve

        model = resolve(name)
        with make_reporter(as_json=False) as reporter:
            if origin is not None:
                wanted = [each for each in official_weights(model) if not is_packaged(find_weights(each))]
                if not wanted:
                    raise OptionError(f"{name} needs no weights from elsewhere: leave out --from")
                ensure_weights(wanted[0], offline=offline, origin=origin, progress=reporter.downloading)
            model = model.ready(offline, reporter.downloading)
            # Converted now, so that a copy of the cache that cannot be written is enough later.
            load_resolved(model, LoadOptions(Runtime("cpu"), offline=offline, on_download=reporter.downloading))
        for place in model.locations(offline):
            print(place)


@app.command()
def path(name: Name) -> None:
    """Print where a model's weights are, one line per network. Fails if they are not on this machine."""
    with failures_shown():
        from unweave.models.resolve import resolve

        for place in resolve(name).ready(offline=True).locations(offline=True):
            print(place)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call the model.")],
    origin: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint (.ckpt, .th, .pth, .safetensors, .onnx), or a folder, .tar.gz or .zip with a trained "
            "model or a checkpoint of Spleeter's."
        ),
    ],
    config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--config",
            help="The YAML or JSON file that belongs to it, if it is not inside or beside it under the same name.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Add a model of your own: a checkpoint from elsewhere, or one that unweave trained."""
    with failures_shown():
        from unweave.models.checkpoints import is_checkpoint_name

        if origin.is_file() and is_checkpoint_name(origin):
            _add_checkpoint(name, origin, config)
            return
        from unweave.families.add import add_model

        spec = add_model(name, origin, config)
        print(f"added {name}: {', '.join(spec.stems)}")


def _add_checkpoint(name: str, origin: Path, config: Path | None) -> None:
    """Add a checkpoint that others made, say what it is, and try it on one segment."""
    import time

    import numpy as np

    from unweave.engines.choose import Runtime
    from unweave.families.base import LoadOptions
    from unweave.families.foreign import add_checkpoint
    from unweave.families.load import load

    spec = add_checkpoint(name, origin, config)
    size = origin.stat().st_size / 1e6
    print(f"added {name}: {spec.family}, {size:.0f} MB, {', '.join(spec.stems)}", flush=True)
    separator = load(name, LoadOptions(Runtime("cpu"))).separator
    segmentation = separator.segmentation
    noise = np.random.default_rng(0).standard_normal((2, segmentation.length), np.float32) * np.float32(0.1)
    started = time.perf_counter()
    separator.separate(noise, range(len(spec.stems)), is_first=True)
    seconds = (time.perf_counter() - started) * spec.sample_rate / segmentation.hop
    print(f"on this machine a minute of music takes about {60 * seconds:.0f} s")


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
    """Save a model as a single file that 'separate -p FILE' can load."""
    with failures_shown():
        from unweave.cli.progress import make_reporter
        from unweave.errors import OptionError
        from unweave.families.masking import graph_path
        from unweave.families.unet.files import export_onnx, export_safetensors
        from unweave.families.unet.path import load_unets
        from unweave.models.export import export_graph
        from unweave.models.resolve import resolve
        from unweave.models.spec import MaskModelSpec

        if path.suffix != f".{to.value}":
            raise OptionError(f"expected a path that ends in .{to.value}, got {path}")
        model = resolve(name)
        if not isinstance(model.spec, MaskModelSpec):
            raise OptionError(f"{name} is already an ONNX file: see 'unweave models path {name}'")
        if model.before is not None:
            alone = model.instead.spec.name if model.instead else model.spec.name.removesuffix("-cascade")
            raise OptionError(
                f"{name} runs {model.before.spec.name} first, but a file can hold only one model: use {alone} instead"
            )
        with make_reporter(as_json=False) as reporter:
            location = model.locate(False, reporter.downloading)
        if location.suffix == ".onnx":
            if to is not ExportFormat.onnx:
                raise OptionError(f"the weights of {name} are in {location.with_suffix('.safetensors')} already")
            export_graph(graph_path(model.spec, location), model.spec, path)
        else:
            writer = export_onnx if to is ExportFormat.onnx else export_safetensors
            writer(load_unets(model.spec, location), model.spec, path)
        print(path)
