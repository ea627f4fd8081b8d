"""Where systems differ: what Windows says of extensions, and how it shares ports."""

import asyncio
import logging
import socket
import sys

import pytest
from click.testing import CliRunner

from tests.helpers.asgi import call
from tests.studio.conftest import until
from unweave.cli.main import app
from unweave.studio import server
from unweave.studio.app import PAGE, make_app
from unweave.studio.page_files import TYPES
from unweave.studio.settings import Settings


def test_modules_are_modules_whatever_the_system_calls_them(tmp_path, cache, monkeypatch):
    """Editors and script hosts write "text/plain" into the registry of Windows, and browsers refuse such modules."""
    monkeypatch.setattr("starlette.responses.guess_type", lambda *arguments, **options: ("text/plain", None))
    app = make_app(Settings(folder=tmp_path / "studio"))
    for path, kind in (("/app.js", "text/javascript"), ("/style.css", "text/css"), ("/icon.svg", "image/svg+xml"),
                       ("/", "text/html")):  # fmt: skip
        answer = call(app, "GET", path)
        assert answer.status == 200
        assert answer.headers["content-type"].partition(";")[0] == kind
    etag = call(app, "GET", "/app.js").headers["etag"].encode()
    known = call(app, "GET", "/app.js", headers=[(b"if-none-match", etag)])
    assert known.status == 304
    assert "content-type" not in known.headers


def test_every_file_of_the_page_has_a_type():
    assert {path.suffix for path in PAGE.rglob("*") if path.is_file() and path.name[0] != "."} <= TYPES.keys()


@pytest.mark.parametrize("is_windows", [True, False])
def test_a_port_belongs_to_one_program(tmp_path, monkeypatch, is_windows):
    """On Windows two programs that both ask for SO_REUSEADDR get the same port, and requests go to either."""
    if is_windows:
        monkeypatch.setattr(sys, "platform", "win32")
    seen = []

    def look(app, listener, *rest):
        seen.append(bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)))

    monkeypatch.setattr(server, "_run", look)
    server.serve(Settings(folder=tmp_path, port=0), lambda address: None)
    assert seen == [not is_windows]


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "http://127.0.0.1:{port}/?token=x"), ("::", "http://[::1]:{port}/?token=x"),
     ("127.0.0.1", "http://127.0.0.1:{port}/?token=x")],
)  # fmt: skip
def test_a_browser_on_this_machine_reaches_a_studio_for_all(tmp_path, monkeypatch, host, address):
    """Windows connects to no 0.0.0.0, which is what the server listens on."""
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    class Starting:
        def __init__(self, config, stopping, on_start, verbose):
            self.on_start = on_start

        def run(self, sockets):
            self.port = sockets[0].getsockname()[1]
            self.on_start()
            opened.append(self.port)

    monkeypatch.setattr(server, "_Server", Starting)
    # It closes all handlers of the program, and TensorBoard's closes what was standard error when it was made.
    monkeypatch.setattr(server.uvicorn, "Config", lambda *arguments, **options: None)
    command = ["studio", "--host", host, "--port", "0", "--token", "x", "--folder", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    port = next(each for each in opened if isinstance(each, int))
    until(lambda: len(opened) == 2)  # it is opened in a thread of its own
    assert address.format(port=port) in opened
    assert f"//{f'[{host}]' if ':' in host else host}:{port}/" in result.stderr


def test_a_browser_that_leaves_is_no_news(tmp_path, monkeypatch, caplog):
    """On Windows asyncio logs a traceback wherever a connection was closed by the other end."""

    class Leaving:
        def __init__(self, config, stopping, on_start, verbose):
            pass

        def run(self, sockets):
            loop = asyncio.new_event_loop()
            for error in (ConnectionResetError(104, "An existing connection was forcibly closed"), ValueError("a bug")):
                loop.call_exception_handler({"message": "Exception in callback", "exception": error})
            loop.close()

    monkeypatch.setattr(server, "_Server", Leaving)
    monkeypatch.setattr(logging.getLogger("asyncio"), "filters", [])
    server.serve(Settings(folder=tmp_path, port=0), lambda address: None)
    assert [record.exc_info[0] for record in caplog.records] == [ValueError]
