"""``unweave web``: the page that separates songs in the browser itself, as a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unweave.cli.failures import failures_shown


def web(
    export: Annotated[
        Path,
        typer.Option("--export", metavar="FOLDER", help="Folder to write the site to; an older one there is replaced."),
    ],
    verbose: Annotated[bool, typer.Option("--verbose", help="Show more about what goes wrong.")] = False,
) -> None:
    """Write a website that takes songs apart in the visitor's own browser: nothing to install, nothing is uploaded."""
    with failures_shown(verbose):
        from unweave.studio.web.export import export_site

        size = export_site(export)
        print(f"{export}: {size / 1e6:.1f} MB; any web server can serve it (docs/howto/web.md)")
