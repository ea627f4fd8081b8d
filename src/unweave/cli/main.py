"""The command ``unweave``: each subcommand in a file of its own, which imports what is heavy when it runs."""

from __future__ import annotations

import click

from unweave import __version__
from unweave.cli.batch import batch
from unweave.cli.commands import Group
from unweave.cli.ensemble import ensemble
from unweave.cli.evaluate import evaluate
from unweave.cli.failures import failures_shown
from unweave.cli.live import live
from unweave.cli.models import models
from unweave.cli.remix import remix
from unweave.cli.separate import separate
from unweave.cli.studio import studio
from unweave.cli.train import train
from unweave.cli.web import web


def _show_completion(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    if shell is None or ctx.resilient_parsing:  # the latter while a shell completes this very line
        return
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete is not None
    print(complete(ctx.command, {}, "unweave", "_UNWEAVE_COMPLETE").source())
    ctx.exit()


@click.group(
    name="unweave",
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    help="unweave separates songs into stems: vocals, drums, bass and the rest.",
)
@click.version_option(__version__, message="unweave %(version)s", help="Show the version.")
@click.option(
    "--completion",
    metavar="bash|zsh|fish",
    type=click.Choice(["bash", "zsh", "fish"]),
    is_eager=True,
    expose_value=False,
    callback=_show_completion,
    help="Print a script that lets this shell complete commands and options.",
)
def app() -> None:
    """The group of commands."""


for each in (separate, evaluate, train, batch, live, remix, ensemble, studio, web, models):
    app.add_command(each)


def run() -> None:
    """Entry point of the console script."""
    with failures_shown():  # what goes wrong before a command runs, such as help that cannot be printed
        app()


if __name__ == "__main__":
    run()
