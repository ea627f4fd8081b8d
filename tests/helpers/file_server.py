"""A server of files on loopback that remembers what it was asked."""

from __future__ import annotations

import contextlib
import http.server
import threading
from dataclasses import dataclass, field


@dataclass
class FileServer:
    """Serves ``files`` by path; a path in ``redirects`` leads elsewhere; ``closed`` to all but those with a token."""

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    token: str = ""  # without which every request is refused
    breaks: int = 0  # so many answers end half-way
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path and Authorization of each
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


@contextlib.contextmanager
def serving(**fields):
    """A `FileServer` that answers until the context ends."""
    state = FileServer(**fields)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.requests.append((self.path, self.headers.get("Authorization")))
            if state.token and self.headers.get("Authorization") != f"Bearer {state.token}":
                self.answer(401)
            elif self.path in state.redirects:
                self.answer(302, Location=state.redirects[self.path])
            elif self.path in state.files:
                self.send(state.files[self.path])
            else:
                self.answer(404)

        def send(self, content):
            given = self.headers.get("Range", "")
            content = content[int(given[6:-1]) :] if given else content
            self.send_response(206 if given else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if state.breaks > 0:
                state.breaks -= 1
                content = content[: len(content) // 2]
            self.wfile.write(content)

        def answer(self, status, **headers):
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    with answering(server):
        yield state


@contextlib.contextmanager
def answering(server):
    """``server``, of the standard library or made like one, answers in a thread until the context ends."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
