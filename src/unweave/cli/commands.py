"""click's commands, with a line of help for each argument, and numbers whose limits are said in words."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Any], Any]  # of a function that is about to be a command


class _Path(click.Path):
    """A path that is not empty: Python takes an empty one for the current folder, but a script forgot a variable.

    On Windows none has a quotation mark in it: "C:\\My Music\\" is read up to the next one.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        if value == "":
            self.fail("expected a path, got nothing; the current folder is .", param, ctx)
        if sys.platform == "win32" and isinstance(value, str) and '"' in value:
            self.fail(f"{value} is no path; leave out the backslash before the quotation mark", param, ctx)
        return super().convert(value, param, ctx)


PATH = _Path(path_type=Path)
file_names = PATH.shell_complete  # what the shell completes where there may be a path or something else


class Argument(click.Argument):
    """An argument with a line of help, which older versions of click have for options only."""

    def __init__(self, *args: Any, help: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.help = help


class Command(click.Command):
    """A command that lists its arguments before its options."""

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Newer versions of click list the arguments here; `format_options` does it for all versions."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Command.format_options`."""
        arguments = [each for each in self.get_params(ctx) if isinstance(each, Argument)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl([(each.metavar or "", each.help or "") for each in arguments])
        super().format_options(ctx, formatter)


class Group(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See `click.Group.list_commands`."""
        return list(self.commands)


def number(kind: type[float], least: float = -math.inf, most: float = math.inf) -> Callable[[Any], float]:
    """The type of an option: a number, whole where ``kind`` is int, of at least ``least`` and at most ``most``.

    Without limits NaN is a number, too: what it is for has limits of its own, and says more.
    """
    name = "a whole number" if kind is int else "a number"
    limits = "" if math.isinf(least) else f" of at least {least}" if math.isinf(most) else f" from {least} to {most}"

    def converted(text: Any) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise click.BadParameter(f"expected {name}{limits}, got {text!r}") from None
        if limits and not least <= value <= most:
            raise click.BadParameter(f"expected {name}{limits}, got {value}")
        return value

    return converted


def command(name: str, **settings: Any) -> Callable[[Callable[..., None]], Command]:
    """Makes a function the command ``name``; ``settings`` are those of `click.command`."""
    return click.command(name, cls=Command, **settings)


def argument(name: str, placeholder: str, help: str, **settings: Any) -> Decorator:
    """An argument, shown as ``placeholder`` in the help; ``settings`` are those of `click.argument`."""
    return click.argument(name, cls=Argument, metavar=placeholder, help=help, **settings)


def option(*names: str, placeholder: str, help: str, **settings: Any) -> Decorator:
    """An option with a value, shown as ``placeholder`` in the help; ``settings`` are those of `click.option`."""
    return click.option(*names, metavar=placeholder, help=help, **settings)


def flag(*names: str, help: str) -> Decorator:
    """An option without a value: False unless it is given."""
    return click.option(*names, is_flag=True, help=help)
