"""The command ``unweave``: each subcommand in a file of its own, which imports what is heavy when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from unweave import __version__
from unweave.cli import models
from unweave.cli.application import Application
from unweave.cli.batch import batch
from unweave.cli.ensemble import ensemble
from unweave.cli.evaluate import evaluate
from unweave.cli.live import live
from unweave.cli.remix import remix
from unweave.cli.separate import separate
from unweave.cli.studio import studio
from unweave.cli.train import train
from unweave.cli.web import web

app = Application(
    name="unweave",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would take twice as long to import as all the rest
)
app.command(short_help="Separate songs into stems.")(separate)
app.command()(evaluate)
app.command()(train)
app.command()(batch)
app.command()(live)
app.command()(remix)
app.command(short_help="Combine several versions of one stem.")(ensemble)
app.command(short_help="Open the studio in the browser: separate, listen, remix.")(studio)
app.command(short_help="Write a website that takes songs apart in the visitor's browser.")(web)
app.add_typer(models.app, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"unweave {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """unweave separates songs into stems: vocals, drums, bass and the rest."""


def run() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    run()
