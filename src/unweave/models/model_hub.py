"""A model hub: repositories of files with revisions, reached as its users have set up their machine.

``HF_ENDPOINT`` names a mirror, and ``HF_TOKEN`` the user's key, which only that host is shown. Proxies
(``HTTPS_PROXY``) and certificates (``REQUESTS_CA_BUNDLE``) are those of requests.
"""

from __future__ import annotations

import os
from urllib.parse import quote

from unweave.models.spec import Source

ENDPOINT = "https://huggingface.co"
NEWEST = "main"


def url_of(source: Source) -> str:
    """The address of a file: of the source itself, or in its repository at the hub or the user's mirror of it."""
    if source.kind != "hub":
        return source.location
    endpoint = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or ENDPOINT
    return f"{endpoint}/{source.location}/resolve/{source.revision or NEWEST}/{quote(source.path)}"


def token_for(source: Source) -> str:
    """The user's token, for sources at the hub; "" for all others, and where there is none."""
    return os.environ.get("HF_TOKEN", "").strip() if source.kind == "hub" else ""
