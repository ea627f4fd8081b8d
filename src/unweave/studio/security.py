"""Who may ask, and what a browser may do with the answers.

A server on one's own machine is still reached by every page that is open in the browser: names that resolve to it
(DNS rebinding) and requests from other sites (cross-site request forgery) are refused.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import SplitResult, urlsplit

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from unweave.studio.refusals import Refused
from unweave.studio.settings import LOCAL_HOSTS, Settings

SAFE_METHODS = frozenset({"GET", "HEAD"})
COOKIE = "unweave_token"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; media-src 'self' blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Next = Callable[[Request], Awaitable[Response]]


def guard(settings: Settings) -> Callable[[Request, Next], Awaitable[Response]]:
    """The middleware for ``settings``."""

    async def middleware(request: Request, call_next: Next) -> Response:
        response = refusal(request, settings) or await call_next(request)
        response.headers.update(HEADERS)
        given = request.query_params.get("token")
        if settings.token is not None and given is not None and _equal(given, settings.token):
            response.set_cookie(COOKIE, _pass(settings.token), httponly=True, samesite="strict")
        return response

    return middleware


def refusal(request: Request, settings: Settings) -> Response | None:
    """Why a request is refused; None where it is not."""
    host = _split(request.headers.get("host", ""))
    if settings.is_local and (host is None or host.hostname not in LOCAL_HOSTS):
        return _refused("wrong_host")
    if settings.token is not None and not _has_token(request, settings.token):
        return _refused("no_token")
    if request.method not in SAFE_METHODS and not _is_same_site(request, host):
        return _refused("other_site")
    return None


def _has_token(request: Request, token: str) -> bool:
    # Headers arrive as Latin-1, whatever they were sent as.
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").encode("latin-1", "replace")
    return (
        secrets.compare_digest(bearer, token.encode("utf-8", "replace"))
        or _equal(request.query_params.get("token", ""), token)
        or _equal(request.cookies.get(COOKIE, ""), _pass(token))
    )


def _pass(token: str) -> str:
    """What the cookie holds: letters and digits, whatever the token is made of, and not the token itself."""
    return hashlib.sha256(f"unweave studio {token}".encode("utf-8", "replace")).hexdigest()


def _equal(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _is_same_site(request: Request, host: SplitResult | None) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    given = request.headers.get("origin")
    if given is None:
        return True
    try:
        origin = urlsplit(given)
    except ValueError:
        return False
    return host is not None and origin.netloc == host.netloc


def _split(host: str) -> SplitResult | None:
    """The parts of a Host header; None for what is none, such as ``[::1``."""
    try:
        return urlsplit(f"//{host}")
    except ValueError:
        return None


def _refused(code: str) -> Response:
    refused = Refused(code)
    return JSONResponse(refused.to_json(), refused.status)
