"""Typer with help that shows arguments as manuals do: ``FILE...``, not ``{files}... <list[Path]>``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command whose usage line and list of arguments show nothing but their placeholders (``metavar``)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for argument in self.params:
            if isinstance(argument, TyperArgument) and argument.metavar:
                _show_plainly(argument, argument.metavar)


def _show_plainly(argument: TyperArgument, placeholder: str) -> None:
    argument.get_usage_pieces = lambda ctx: [placeholder]  # type: ignore[method-assign]
    argument.display_type_rich = lambda ctx: None  # type: ignore[method-assign]


class Application(typer.Typer):
    """`typer.Typer` with commands of that kind."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        """See `typer.Typer.command`."""
        return super().command(name, cls=Command, **options)
