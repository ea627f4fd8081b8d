"""Requests to an application without a server, with whatever bytes a test wants in them."""

import asyncio
import itertools
import json
from dataclasses import dataclass
from urllib.parse import urlencode

LAST = {"type": "http.request", "body": b"", "more_body": False}


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
    parts = iter([body] if isinstance(body, bytes) else body)
    query = query if isinstance(query, bytes) else urlencode(query, doseq=True).encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query,
        "headers": [(b"host", host), *headers], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    sent = []

    async def run():
        answered = asyncio.Event()
        to_come = itertools.chain(({"type": "http.request", "body": part, "more_body": True} for part in parts), [LAST])

        async def receive():
            for message in to_come:
                return message
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                answered.set()

        await app(scope, receive, send)

    asyncio.run(run())
    start = sent[0]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body)
