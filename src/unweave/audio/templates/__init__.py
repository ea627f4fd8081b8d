"""Texts with gaps: the files of this folder, which the web edition fills in as well (studio/web/page/templates.js)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Values: TypeAlias = Mapping[str, "str | Sequence[Values]"]

FOLDER = Path(__file__).parent
# A part that is repeated, or a gap. Where the marks of a part stand on lines of their own, these lines vanish.
PIECE = re.compile(r"\{#(\w+)\}\n?(.*?)\{/\1\}\n?|\{(\w+)\}", re.DOTALL)


def filled(name: str, values: Values, escape: Callable[[str], str] = str) -> str:
    """The template ``name``: ``{gap}`` becomes the value of that name, by way of ``escape``.

    ``{#tracks}…{/tracks}`` is there for each item of the list of that name, whose values come on top of the others.
    """
    return _fill((FOLDER / name).read_text(encoding="utf-8"), values, escape)


def _fill(template: str, values: Values, escape: Callable[[str], str]) -> str:
    def piece(found: re.Match[str]) -> str:
        part, inside, gap = found.groups()
        value = values[part or gap]
        if isinstance(value, str):
            return escape(value)
        return "".join(_fill(inside, {**values, **item}, escape) for item in value)

    return PIECE.sub(piece, template)


def decimal(number: float) -> str:
    """A number in nine digits, and no more than it needs."""
    return f"{number:.9g}"
