"""Requests to an application without a server, with whatever bytes a test wants in them."""

import asyncio
import json
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


def call(app, method, path, *, query=b"", headers=(), body=(), host=b"127.0.0.1"):
    """The answer to one request; what the application does not catch is raised.

    ``query`` is raw bytes or a mapping, ``headers`` pairs of raw bytes, ``body`` bytes or parts.
    """
    parts = [body] if isinstance(body, bytes) else list(body)
    query = query if isinstance(query, bytes) else urlencode(query, doseq=True).encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query,
        "headers": [(b"host", host), *headers], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    sent = []

    async def receive():
        if parts:
            return {"type": "http.request", "body": parts.pop(0), "more_body": True}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start = sent[0]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body)
