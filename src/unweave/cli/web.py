"""``unweave web``: the page that separates songs in the browser itself, as a folder of files."""

from __future__ import annotations

from pathlib import Path

from unweave.cli.commands import PATH, command, flag, option
from unweave.cli.failures import failures_shown


@command("web", short_help="Write a website that takes songs apart in the visitor's browser.")
@option(
    "--export",
    placeholder="FOLDER",
    type=PATH,
    required=True,
    help="Folder to write the site to; an older one there is replaced.",
)
@flag("--verbose", help="Show more about what goes wrong.")
def web(export: Path, verbose: bool) -> None:
    """Write a website that takes songs apart in the visitor's own browser: nothing to install, nothing is uploaded."""
    with failures_shown(verbose):
        from unweave.studio.web.export import export_site

        size = export_site(export)
        print(f"{export}: {size / 1e6:.1f} MB; any web server can serve it (docs/howto/web.md)")
