"""Who may ask, and what a browser may do with the answers.

A server on one's own machine is still reached by every page that is open in the browser: names that resolve to it
(DNS rebinding) and requests from other sites (cross-site request forgery) are refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from unweave.studio.settings import LOCAL_HOSTS, Settings

SAFE_METHODS = frozenset({"GET", "HEAD"})
COOKIE = "unweave_token"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "media-src 'self' blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
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
        if settings.token is not None and given is not None and secrets.compare_digest(given, settings.token):
            response.set_cookie(COOKIE, given, httponly=True, samesite="strict")
        return response

    return middleware


def refusal(request: Request, settings: Settings) -> Response | None:
    """Why a request is refused; None where it is not."""
    host = urlsplit(f"//{request.headers.get('host', '')}")
    if settings.is_local and host.hostname not in LOCAL_HOSTS:
        return _refused(421, "this server answers to its own name only")
    if settings.token is not None and not _has_token(request, settings.token):
        return _refused(401, "a token is needed: open the address that the server printed")
    if request.method not in SAFE_METHODS and not _is_same_site(request, host.netloc):
        return _refused(403, "requests from other sites are refused")
    return None


def _has_token(request: Request, token: str) -> bool:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    given = (request.cookies.get(COOKIE, ""), request.query_params.get("token", ""), bearer)
    return any(secrets.compare_digest(each.encode(), token.encode()) for each in given)


def _is_same_site(request: Request, host: str) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def _refused(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)
