"""From settings to a running server."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI
from filelock import FileLock, Timeout

from unweave.errors import OptionError
from unweave.studio.app import make_app
from unweave.studio.settings import Settings
from unweave.studio.work import OpenSeparator


def serve(
    settings: Settings,
    announce: Callable[[str], None],
    *,
    verbose: bool = False,
    open_model: OpenSeparator | None = None,
) -> None:
    """Serve until interrupted; ``announce`` is told the address. Raises `OptionError` where that cannot be.

    An interrupt is how a server ends, so this returns then. ``open_model`` is that of `make_app`.
    """
    listener = None
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.socket(family)
        if sys.platform != "win32":  # where two programs that both say so would listen on one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(128)  # from here on whoever connects is heard
        # Two servers over one folder would take each other's jobs; a killed one leaves no lock.
        with FileLock(settings.folder / "server.lock", timeout=0):
            _run(make_app(settings, open_model), listener, settings, announce, verbose)
    except Timeout as error:
        raise OptionError(f"another studio uses {settings.folder}; stop it, or choose another --folder") from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OptionError(
            f"cannot listen on {settings.host}:{settings.port} or keep songs in {settings.folder}: {reason}"
        ) from error
    finally:
        if listener is not None:
            listener.close()


def here(address: str) -> str:
    """The address of a server on this machine for a browser on this machine.

    What stands for all addresses is none itself: Windows cannot connect to it.
    """
    return address.replace("//0.0.0.0:", "//127.0.0.1:", 1).replace("//[::]:", "//[::1]:", 1)


def _run(
    app: FastAPI, listener: socket.socket, settings: Settings, announce: Callable[[str], None], verbose: bool
) -> None:
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    token = f"?token={quote(settings.token, safe='')}" if settings.token is not None else ""
    config = uvicorn.Config(
        app, log_level="info" if verbose else "warning", timeout_graceful_shutdown=2, server_header=False
    )
    address = f"http://{name}:{listener.getsockname()[1]}/{token}"
    if not verbose:
        logging.getLogger("asyncio").addFilter(_is_news)
    with suppress(KeyboardInterrupt):
        _Server(config, app.state.stopping, lambda: announce(address), verbose).run([listener])


def _is_news(record: logging.LogRecord) -> bool:
    """Not that a browser has closed a connection, for which asyncio logs a traceback on Windows."""
    return record.exc_info is None or not isinstance(record.exc_info[1], ConnectionResetError)


class _Server(uvicorn.Server):
    """Calls ``on_start`` once it can be interrupted in good order.

    At its end it tells those who are listening to a job; they would keep it waiting.
    """

    def __init__(
        self, config: uvicorn.Config, stopping: threading.Event, on_start: Callable[[], None], verbose: bool
    ) -> None:
        super().__init__(config)
        self._stopping, self._on_start, self._is_verbose = stopping, on_start, verbose

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once, in the loop."""
        await super().startup(sockets)
        if not self.should_exit:
            self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called once for each interrupt."""
        self._stopping.set()
        if not self._is_verbose:  # that a download is cut off then is no news
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)
