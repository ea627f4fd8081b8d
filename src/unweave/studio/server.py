"""From settings to a running server."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from filelock import FileLock, Timeout

from unweave.errors import OptionError
from unweave.studio.app import make_app
from unweave.studio.settings import Settings


def serve(settings: Settings, announce: Callable[[str], None], *, verbose: bool = False) -> None:
    """Serve until interrupted; ``announce`` is told the address. Raises `OptionError` where that cannot be."""
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(128)  # from here on whoever connects is heard
    except OSError as error:
        raise OptionError(
            f"cannot listen on {settings.host}:{settings.port} or keep songs in {settings.folder}: {error.strerror}"
        ) from error
    try:
        # Two servers over one folder would take each other's jobs; a killed one leaves no lock.
        with FileLock(settings.folder / "server.lock", timeout=0):
            port = listener.getsockname()[1]
            name = f"[{settings.host}]" if ":" in settings.host else settings.host
            token = f"?token={settings.token}" if settings.token is not None else ""
            server = uvicorn.Server(
                uvicorn.Config(
                    make_app(settings),
                    log_level="info" if verbose else "warning",
                    timeout_graceful_shutdown=2,
                    server_header=False,
                )
            )
            announce(f"http://{name}:{port}/{token}")
            server.run([listener])
    except Timeout as error:
        raise OptionError(f"another studio uses {settings.folder}; end it, or choose another --folder") from error
    finally:
        listener.close()
