"""An S3 server on this machine, moto's, whose answers can be made to fail.

``python -m tests.helpers.s3 BUCKETS N`` serves until its standard input is closed, and answers every Nth request with
503 (0: none). It prints its address, and the number of requests by method, as JSON, for every line that it is sent.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.helpers.file_server import answering

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{0}</Code><Message>{1}</Message></Error>'
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",  # or whoever has no key asks a machine's role, which takes seconds
}


@dataclass
class S3Server:
    """``fault`` is asked about each request, (number, method, path): None, or one of the faults below."""

    fault: Callable[[int, str, str], object] = lambda number, method, path: None
    requests: list[tuple[str, str]] = field(default_factory=list)  # method, path and query
    clients: list[str] = field(default_factory=list)  # from which address each of them came
    host: str = "127.0.0.1"
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.url}


@dataclass(frozen=True)
class Refused:
    """An answer with this status and S3's code for it."""

    status: str = "503 Service Unavailable"
    code: str = "SlowDown"
    message: str = "Please reduce your request rate."


@dataclass(frozen=True)
class Reset:
    """The connection breaks: at once, or ``after`` so many bytes of the answer."""

    after: int | None = None


@dataclass(frozen=True)
class Slow:
    """The answer comes ``seconds`` later."""

    seconds: float


def every(count, fault=None):
    """The ``count``th request, and each ``count``th after it, meets ``fault``."""
    return lambda number, method, path: (fault or Refused()) if number % count == 0 else None


class _Faulty:
    """The application ``app``, with the faults of ``state``."""

    def __init__(self, app, state):
        self._app = app
        self._state = state
        self._numbers = itertools.count(1)

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"] + (f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else "")
        method = environ["REQUEST_METHOD"]
        self._state.requests.append((method, path))
        self._state.clients.append(environ["REMOTE_ADDR"])
        fault = self._state.fault(next(self._numbers), method, path)
        if isinstance(fault, Refused):
            _body(environ)
            text = ERROR.format(fault.code, fault.message).encode()
            start_response(fault.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
            return [] if method == "HEAD" else [text]
        if isinstance(fault, Slow):
            time.sleep(fault.seconds)
        if isinstance(fault, Reset):
            if fault.after is None:
                _body(environ)
                _reset(environ)
            return self._broken(environ, start_response, fault.after)
        return self._app(environ, start_response)

    def _broken(self, environ, start_response, after):
        whole = b"".join(self._app(environ, start_response))
        yield whole[:after]
        _reset(environ)


def _body(environ):
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


def _reset(environ):
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionError("reset")


@contextlib.contextmanager
def serving_s3(*buckets, **fields):
    """An `S3Server` with ``buckets`` that answers until the context ends."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import make_server

    class Handler(MotoRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *arguments):
            pass

    state = S3Server(**fields)
    app = _Faulty(DomainDispatcherApplication(create_backend_app), state)
    server = make_server(state.host, 0, app, threaded=True, request_handler=Handler)
    state.port = server.server_port
    backend = s3_backends["123456789012"]["aws"]
    backend.reset()
    for bucket in buckets:
        backend.create_bucket(bucket, "us-east-1")
    try:
        with answering(server):
            yield state
    finally:
        backend.reset()


if __name__ == "__main__":
    buckets, count = sys.argv[1].split(","), int(sys.argv[2])
    with serving_s3(*buckets, **({"fault": every(count)} if count else {})) as running:
        print(running.url, flush=True)
        for _ in sys.stdin:
            print(json.dumps(Counter(method for method, _ in running.requests)), flush=True)
