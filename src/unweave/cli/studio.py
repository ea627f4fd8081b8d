"""``unweave studio``: the mixer in the browser."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave.cli.failures import failures_shown


def studio(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 8377,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than this machine need a token.")
    ] = ("127.0.0.1"),
    token: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--token", envvar="UNWEAVE_TOKEN", help="What others must know; made up if not given."),
    ] = None,
    folder: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--folder", help="Where songs and stems are kept."),
    ] = None,
    redis: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--redis", help="A Redis for the queue, such as redis://localhost; without it, SQLite."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Songs at a time.")] = 1,
    max_upload: Annotated[int, typer.Option("--max_upload", min=1, help="MiB per song.")] = 1024,
    max_minutes: Annotated[float, typer.Option("--max_minutes", help="Per song.")] = 180.0,
    max_disk: Annotated[int, typer.Option("--max_disk", min=1, help="GiB for all songs together.")] = 20,
    keep_days: Annotated[float, typer.Option("--keep_days", help="Then finished songs are deleted.")] = 30.0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show requests.")] = False,
) -> None:
    """Separate, listen and remix in the browser; everything stays on this machine."""
    with failures_shown(verbose):
        import importlib.util

        from unweave.errors import OptionError

        if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "huey")):
            raise OptionError("the studio needs: pip install 'unweave[studio]'")
        from unweave.studio.server import serve
        from unweave.studio.settings import LOCAL_HOSTS, Settings, default_folder

        if token is None and host not in LOCAL_HOSTS:
            token = secrets.token_urlsafe(16)
        settings = Settings(
            folder=folder or default_folder(),
            host=host,
            port=port,
            token=token,
            redis=redis,
            workers=workers,
            max_upload_bytes=max_upload << 20,
            max_seconds=60 * max_minutes,
            max_disk_bytes=max_disk << 30,
            keep_days=keep_days,
        )

        def announce(address: str) -> None:
            print(f"unweave studio: {address}  (Ctrl-C ends it)", file=sys.stderr, flush=True)
            if browser:
                import webbrowser

                webbrowser.open(address)

        serve(settings, announce, verbose=verbose)
