"""Anything can be printed: names that are not Unicode, and names that the console has no letters for."""

from __future__ import annotations

import sys


def print_any_name() -> None:
    """Let stdout and stderr show what they cannot encode as ``\\u7d46`` instead of raising.

    A stream that passes bytes through as they are (Python's own choice in the locale C.UTF-8) goes on doing so, as long
    as it can hold every character.
    """
    for stream in (sys.stdout, sys.stderr):
        keeps_bytes = getattr(stream, "errors", None) == "surrogateescape" and _is_unicode(stream.encoding)
        if hasattr(stream, "reconfigure") and not keeps_bytes:
            stream.reconfigure(errors="backslashreplace")


def _is_unicode(encoding: str | None) -> bool:
    return (encoding or "").lower().replace("-", "").replace("_", "").startswith("utf")
