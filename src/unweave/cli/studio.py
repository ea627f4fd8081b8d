"""``unweave studio``: the mixer in the browser."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from unweave.cli.commands import PATH, command, flag, number, option
from unweave.cli.failures import failures_shown


@command("studio", short_help="Open the studio in the browser: separate, listen, remix.")
@option(
    "--port",
    placeholder="NUMBER",
    type=number(int, 0, 65535),
    default=8377,
    help="Port to listen on; 0 picks any free port.",
)
@option(
    "--host",
    placeholder="ADDRESS",
    default="127.0.0.1",
    help="Address to listen on. Other machines than this one will need an access token.",
)
@option(
    "--token",
    placeholder="TOKEN",
    envvar="UNWEAVE_TOKEN",
    show_envvar=True,
    help="Access token for remote users; generated if omitted.",
)
@option("--folder", placeholder="FOLDER", type=PATH, help="Where songs and stems are kept.")
@option("--workers", placeholder="NUMBER", type=number(int, 1), default=1, help="Number of songs to separate at once.")
@option("--max_upload", placeholder="MIB", type=number(int, 1), default=1024, help="Largest upload in MiB.")
@option("--max_minutes", placeholder="MINUTES", type=number(float), default=180.0, help="Longest song in minutes.")
@option(
    "--max_disk",
    placeholder="GIB",
    type=number(int, 1),
    default=20,
    help="Disk space in GiB for all songs and their stems.",
)
@option(
    "--keep_days",
    placeholder="DAYS",
    type=number(float),
    default=30.0,
    help="Delete finished songs after this many days.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@flag("--verbose", help="Log every request.")
def studio(
    port: int,
    host: str,
    token: str | None,
    folder: Path | None,
    workers: int,
    max_upload: int,
    max_minutes: float,
    max_disk: int,
    keep_days: float,
    browser: bool,
    verbose: bool,
) -> None:
    """Separate songs, listen to the stems and remix them in the browser. Everything stays on this machine."""
    with failures_shown(verbose):
        import importlib.util
        import secrets

        from unweave.errors import OptionError

        if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")):
            raise OptionError('the studio needs more packages: pip install "unweave[studio]"')
        from unweave.studio.server import here, serve
        from unweave.studio.settings import LOCAL_HOSTS, Settings, default_folder

        if token is None and host not in LOCAL_HOSTS:
            token = secrets.token_urlsafe(16)
        settings = Settings(
            folder=folder or default_folder(),
            host=host,
            port=port,
            token=token,
            workers=workers,
            max_upload_bytes=max_upload << 20,
            max_seconds=60 * max_minutes,
            max_disk_bytes=max_disk << 30,
            keep_days=keep_days,
        )

        def announce(address: str) -> None:
            print(f"unweave studio: {address}  (press Ctrl-C to stop)", file=sys.stderr, flush=True)
            if browser:
                import threading
                import webbrowser

                # One in a terminal, and many a one that was not running, keeps its caller waiting: for our answer, too.
                threading.Thread(target=webbrowser.open, args=(here(address),), daemon=True).start()

        serve(settings, announce, verbose=verbose)
