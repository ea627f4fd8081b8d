"""``unweave models``: what there is, and where it lies."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unweave.cli import options as shared
from unweave.cli.commands import PATH, Group, argument, command, file_names, flag, option
from unweave.cli.failures import failures_shown
from unweave.cli.model_list import print_json, print_table

if TYPE_CHECKING:
    from unweave.families.base import LoadOptions
    from unweave.models.catalogue import Entry
    from unweave.models.listing import Order
    from unweave.models.resolve import ResolvedModel
    from unweave.separation.presets import Preset

_name = argument("name", "NAME", "A model's name, as 'unweave models list' shows it.")


@click.group(cls=Group, help="List, download, add and export models.")
def models() -> None:
    """The group of commands."""


@command("list", short_help="List models and named ensembles.")
@flag("--all", "everything", help="All models, not only those that are here or recommended.")
@option("--stem", placeholder="STEM", help="Only models that give this stem, such as vocals.")
@option("--licence", placeholder="LICENCE", help="Only models under this licence, such as mit.")
@flag("--free", help="Only models that may be used for any purpose.")
@option("--sort", placeholder="name|size|score", type=click.Choice(["name", "size", "score"]), help="What to sort by.")
@option(
    "--format",
    "form",
    placeholder="table|json",
    type=click.Choice(["table", "json"]),
    default="table",
    help="A table, or JSON for other programs.",
)
def list_models(
    everything: bool, stem: str | None, licence: str | None, free: bool, sort: Order | None, form: str
) -> None:
    """List models and named ensembles: their stems, sizes, licences and scores, and whether they are on this machine.

    Without options these are the models that are here or recommended; with one of --stem, --licence and --free, all
    that fit.
    """
    with failures_shown():
        from unweave.models.listing import chosen
        from unweave.models.listing import list_models as listed_models
        from unweave.separation.listing import list_ensembles

        listed = listed_models()
        listed += list_ensembles(listed)
        is_short = not (everything or stem or licence or free)
        found = chosen(listed, stem=stem or "", licence=licence or "", free=free, short=is_short, order=sort)
        if form == "json":
            print_json(found)
            return
        print_table(found, stem or "")
        for model in found:
            if model.problem:
                print(f"{model.name} is broken: {model.problem}")
        _explain_list(len(listed) - len(found) if is_short else 0)


def _explain_list(n_more: int) -> None:
    from unweave.models.catalogue.official import CASCADES, SHORT_NAMES

    for name, target in SHORT_NAMES.items():
        best = CASCADES.get(name)
        print(f"{name} is {best}, or {target} if weights cannot be fetched" if best else f"{name} is {target}")
    print("* tried by unweave's authors; scores of different test sets cannot be compared")
    if n_more:
        print(f"{n_more} more: unweave models list --all")


@command("info", short_help="Show all there is to know about a model.")
@_name
def info(name: str) -> None:
    """Show all there is to know about a model."""
    with failures_shown():
        from unweave.models.addresses import without_keys
        from unweave.models.catalogue import entries
        from unweave.models.catalogue.official import find_weights
        from unweave.models.hub import home_of
        from unweave.models.resolve import official_weights, resolve
        from unweave.separation.presets import find_preset

        preset = find_preset(name)
        if preset is not None:
            _show_ensemble(preset)
            return
        model = resolve(name)
        spec = model.spec
        for field in dataclasses.fields(spec):
            value = getattr(spec, field.name)
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            print(f"{field.name:20}{shown}")
        for weights in map(find_weights, official_weights(model)):
            print(f"{'folder':20}{home_of(weights)}")
            for source in weights.sources:
                print(f"{'source':20}{without_keys(source.location)}")
        entry = entries().get(spec.name)
        if entry is not None:
            _show_entry(entry)


def _show_ensemble(preset: Preset) -> None:
    """What a named ensemble is made of; each of its models has more to say."""
    print(f"{'name':20}{preset.name}")
    print(f"{'summary':20}{preset.summary}")
    print(f"{'rule':20}{preset.rule}")
    for member in _members(preset.name):
        print(f"{'model':20}{member}")


def _members(name: str) -> list[str]:
    """The models of a named ensemble, as the list calls them, or the one that is called so."""
    from unweave.models.resolve import resolve
    from unweave.separation.presets import find_preset

    preset = find_preset(name)
    return [name] if preset is None else [resolve(member).spec.name for member in preset.found_models()]


def _show_entry(entry: Entry) -> None:
    """What the list of models says beside the description."""
    from unweave.families.published import by_hand
    from unweave.models.addresses import without_keys
    from unweave.models.model_hub import url_of

    told = ", ".join(filter(None, (entry.licence.stated_in, entry.licence.stated_on)))
    print(f"{'licence stated in':20}{told or 'nothing was found'}")
    print(f"{'tried by us':20}{'yes' if entry.is_verified else 'no'}")
    for score in entry.scores:
        values = ", ".join(f"{stem} {value:.2f}" for stem, value in score.sdr.items())
        print(f"{'SDR in dB':20}{values} ({score.test_set}; {score.source})")
    for alias in entry.aliases:
        print(f"{'also called':20}{alias}")
    for download in entry.downloads:
        for file in download.all_files:
            print(f"{'file':20}{file.name}{f', SHA-256 {file.sha256}' if file.sha256 else ''}")
            for source in file.sources:
                print(f"{'source':20}{without_keys(url_of(source))}")
    if entry.downloads and entry.download is None:
        print(by_hand(entry))


@command("fetch", short_help="Download a model's weights and verify them.")
@_name
@option(
    "--from",
    "origin",
    placeholder="PLACE",
    shell_complete=file_names,
    help="Take the weights from this folder, archive or URL and nowhere else.",
)
@shared.offline
@shared.accept_licence
def fetch(name: str, origin: str | None, offline: bool, accept_licence: bool) -> None:
    """Download a model's weights, verify them and make them ready for use. Prints where they are."""
    with failures_shown():
        from unweave.cli.progress import make_reporter
        from unweave.engines.choose import Runtime
        from unweave.errors import OptionError
        from unweave.families.base import LoadOptions

        names = _members(name)
        if origin is not None and names != [name]:
            raise OptionError(f"{name} is an ensemble: bring its models one by one, {', '.join(names)}")
        with make_reporter(as_json=False) as reporter:
            options = LoadOptions(
                Runtime("cpu"), accept_licence=accept_licence, offline=offline, on_download=reporter.downloading
            )
            ready = [_fetched(each, origin, options) for each in names]
        for model in ready:
            for place in model.locations(offline):
                print(place)


def _fetched(name: str, origin: str | None, options: LoadOptions) -> ResolvedModel:
    """A single model, whose weights are on this machine now."""
    from unweave.errors import OptionError
    from unweave.families.load import load, load_resolved
    from unweave.models.catalogue.official import find_weights
    from unweave.models.hub import ensure_weights, is_packaged
    from unweave.models.resolve import official_weights, resolve
    from unweave.models.spec import ForeignModelSpec

    model = resolve(name)
    if origin is not None:
        wanted = [each for each in official_weights(model) if not is_packaged(find_weights(each))]
        if not wanted and isinstance(model.spec, ForeignModelSpec):
            raise OptionError(f"to bring the files of {name} yourself, use 'unweave models add {name} FILE'")
        if not wanted:
            raise OptionError(f"{name} needs no weights from elsewhere: leave out --from")
        ensure_weights(wanted[0], offline=options.offline, origin=origin, progress=options.on_download)
    # Converted now, so that a copy of the cache that cannot be written is enough later.
    if isinstance(model.spec, ForeignModelSpec):
        load(name, options)
        return resolve(name)
    model = model.ready(options.offline, options.on_download)
    load_resolved(model, options)
    return model


@command("path", short_help="Print where a model's weights are.")
@_name
def path(name: str) -> None:
    """Print where a model's weights are, one line per network. Fails if they are not on this machine."""
    with failures_shown():
        from unweave.models.resolve import resolve

        places = [
            place for each in _members(name) for place in resolve(each).ready(offline=True).locations(offline=True)
        ]
        for place in places:
            print(place)


@command("add", short_help="Add a model of your own, or one from elsewhere.")
@argument("name", "NAME", "What to call the model.")
@argument(
    "origin",
    "FILE...",
    "A checkpoint (.ckpt, .th, .pth, .safetensors, .onnx), several that belong together, or a folder, .tar.gz or .zip "
    "with them, with a trained model, or with a checkpoint of Spleeter's.",
    type=PATH,
    nargs=-1,
    required=True,
)
@option(
    "--config",
    placeholder="FILE",
    type=PATH,
    help="The YAML or JSON file that belongs to it, if it is not inside or beside it under the same name.",
)
def add(name: str, origin: tuple[Path, ...], config: Path | None) -> None:
    """Add a model of your own: a checkpoint from elsewhere, or one that unweave trained."""
    with failures_shown():
        from unweave.families.brought import holds_checkpoints

        if len(origin) > 1 or holds_checkpoints(origin[0]):
            _add_checkpoint(name, origin, config)
            return
        from unweave.families.add import add_model

        spec = add_model(name, origin[0], config)
        print(f"added {name}: {', '.join(spec.stems)}")


def _add_checkpoint(name: str, origin: tuple[Path, ...], config: Path | None) -> None:
    """Add a checkpoint that others made, say what it is, and try it on one segment."""
    import time

    import numpy as np

    from unweave.engines.choose import Runtime
    from unweave.families import foreign
    from unweave.families.base import LoadOptions
    from unweave.families.load import load_resolved
    from unweave.models.resolve import resolve

    added = foreign.add(name, list(origin), config)
    spec, files = added.spec, f" in {added.n_files} files" if added.n_files > 1 else ""
    print(f"added {name}: {added.family}{files}, {added.n_bytes / 1e6:.0f} MB, {', '.join(spec.stems)}", flush=True)
    separator = load_resolved(resolve(name), LoadOptions(Runtime("cpu"))).separator
    segmentation = separator.segmentation
    noise = np.random.default_rng(0).standard_normal((2, segmentation.length), np.float32) * np.float32(0.1)
    started = time.perf_counter()
    separator.separate(noise, range(len(spec.stems)), is_first=True)
    seconds = (time.perf_counter() - started) * spec.sample_rate / segmentation.hop
    print(f"on this machine a minute of music takes about {60 * seconds:.0f} s")


@command("export", short_help="Save a model as a single file.")
@_name
@argument("path", "FILE", "The file to write.", type=PATH)
@option(
    "--to",
    placeholder="onnx|safetensors",
    type=click.Choice(["onnx", "safetensors"]),
    default="onnx",
    help="The format.",
)
def export(name: str, path: Path, to: str) -> None:
    """Save a model as a single file that 'separate -p FILE' can load."""
    with failures_shown():
        from unweave.cli.progress import make_reporter
        from unweave.errors import OptionError
        from unweave.families.masking import graph_path
        from unweave.families.unet.files import export_onnx, export_safetensors
        from unweave.families.unet.path import load_unets
        from unweave.models.export import export_graph
        from unweave.models.resolve import resolve
        from unweave.models.spec import ForeignModelSpec, MaskModelSpec
        from unweave.separation.presets import find_preset

        if path.suffix != f".{to}":
            raise OptionError(f"expected a path that ends in .{to}, got {path}")
        if find_preset(name) is not None:
            raise OptionError(f"{name} is an ensemble, but a file can hold only one model")
        model = resolve(name)
        if isinstance(model.spec, ForeignModelSpec):
            raise OptionError(
                f"{name} is a checkpoint from elsewhere; only models of unweave and Spleeter are exported"
            )
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
            if to != "onnx":
                raise OptionError(f"the weights of {name} are in {location.with_suffix('.safetensors')} already")
            export_graph(graph_path(model.spec, location), model.spec, path)
        else:
            writer = export_onnx if to == "onnx" else export_safetensors
            writer(load_unets(model.spec, location), model.spec, path)
        print(path)


for each in (list_models, info, fetch, path, add, export):
    models.add_command(each)
