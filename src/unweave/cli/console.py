"""Anything can be printed: names that are not Unicode, that the console has no letters for, or that would steer it."""

from __future__ import annotations

import re
import sys

# What a terminal takes for commands, what ends a line, and what turns the direction of writing. A stranger's song may
# have it in its name, and would write over other lines, or add some of its own.
STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def print_any_name() -> None:
    """Let stdout and stderr show what they cannot encode as ``\\u7d46`` instead of raising.

    A stream that passes bytes through as they are (Python's own choice in the locale C.UTF-8) goes on doing so, as long
    as it can hold every character.
    """
    for stream in (sys.stdout, sys.stderr):
        keeps_bytes = getattr(stream, "errors", None) == "surrogateescape" and _is_unicode(stream.encoding)
        if hasattr(stream, "reconfigure") and not keeps_bytes:
            stream.reconfigure(errors="backslashreplace")


def visible(text: str) -> str:
    """``text`` on one line for a person, with ``\\x1b`` and the like in place of what would steer a terminal."""
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shown_path(path: object) -> str:
    """A path for stdout: as it is for another program, and `visible` on a terminal."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return visible(str(path)) if is_terminal else str(path)


def _is_unicode(encoding: str | None) -> bool:
    return (encoding or "").lower().replace("-", "").replace("_", "").startswith("utf")
