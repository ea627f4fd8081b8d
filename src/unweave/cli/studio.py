"""``unweave studio``: the mixer in the browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave.cli.failures import failures_shown


def studio(
    port: Annotated[
        int,
        typer.Option("--port", metavar="NUMBER", min=0, max=65535, help="Port to listen on; 0 picks any free port."),
    ] = 8377,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Address to listen on. Other machines than this one will need an access token.",
        ),
    ] = "127.0.0.1",
    token: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--token",
            metavar="TOKEN",
            envvar="UNWEAVE_TOKEN",
            help="Access token for remote users; generated if omitted.",
        ),
    ] = None,
    folder: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--folder", metavar="FOLDER", help="Where songs and stems are kept."),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="NUMBER", min=1, help="Number of songs to separate at once.")
    ] = 1,
    max_upload: Annotated[
        int, typer.Option("--max_upload", metavar="MIB", min=1, help="Largest upload in MiB.")
    ] = 1024,
    max_minutes: Annotated[
        float, typer.Option("--max_minutes", metavar="MINUTES", help="Longest song in minutes.")
    ] = 180.0,
    max_disk: Annotated[
        int, typer.Option("--max_disk", metavar="GIB", min=1, help="Disk space in GiB for all songs and their stems.")
    ] = 20,
    keep_days: Annotated[
        float, typer.Option("--keep_days", metavar="DAYS", help="Delete finished songs after this many days.")
    ] = 30.0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every request.")] = False,
) -> None:
    """Separate songs, listen to the stems and remix them in the browser. Everything stays on this machine."""
    with failures_shown(verbose):
        import importlib.util
        import secrets

        from unweave.errors import OptionError

        if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")):
            raise OptionError("the studio needs more packages: pip install 'unweave[studio]'")
        from unweave.studio.server import serve
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
                import webbrowser

                webbrowser.open(address)

        serve(settings, announce, verbose=verbose)
