"""The files of the page, as what they are."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from fastapi import Response
from fastapi.staticfiles import StaticFiles

# Browsers run no module that is called plain text, and on Windows other programs have many a ``.js`` called so.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class PageFiles(StaticFiles):
    """Files whose types follow from their names, whatever the system says."""

    def file_response(self, full_path: Any, *arguments: Any, **options: Any) -> Response:
        """See `StaticFiles.file_response`."""
        response = super().file_response(full_path, *arguments, **options)
        kind = TYPES.get(PurePath(full_path).suffix)
        if kind is not None and "content-type" in response.headers:  # a file that the browser has needs none
            response.headers["content-type"] = kind
        return response
