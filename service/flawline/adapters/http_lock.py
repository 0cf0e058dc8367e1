"""The lock before everything that is served over HTTP, whichever adapter serves it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flawline.core.errors import Unauthenticated
from flawline.core.lock import Lock

# Probes carry no credentials. The API's description says nothing of the plant, and a browser that opens it
# cannot send a header.
OPEN_PATHS = frozenset(
    {"/healthz/live", "/healthz/ready", "/v2/health/live", "/v2/health/ready"}
    | {"/docs", "/openapi.json"}
)
_OPEN_FOLDER = "/docs/static/"
_OIP_ROOT = "/v2"
_FOREIGN_PAGE = "foreign_page"
_FOREIGN_PAGE_DETAIL = (
    "A page of another site had this browser send the request (Origin, Sec-Fetch-Site), and such requests "
    "change nothing here; send it from a program, or from a page that this service itself shows. A proxy in between "
    "must hand on the Host that it was asked for."
)
# RFC 9110, section 9.2.1: nothing changes by them.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FROM_OUR_PAGES = frozenset({"same-origin", "none"})


class HttpLock:
    """ASGI middleware: 401 without the token, 403 for what a page of another site makes a browser send.

    Such a page reaches a service that is open to its own machine alone, through the browser of whoever
    reads it. `request.state.caller` names the caller who is let in. refused: told the code of each
    request that is not; nothing of its body is read.
    """

    def __init__(self, app: ASGIApp, lock: Lock, refused: Callable[[str], None]) -> None:
        self._app = app
        self._lock = lock
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it."""
        if scope["type"] == "http" and (refusal := self._refusal(scope)) is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        path, headers = scope["path"], Headers(scope=scope)
        if not _is_open(path):
            try:
                scope.setdefault("state", {})["caller"] = self._lock.caller_of(
                    headers.get("authorization")
                )
            except Unauthenticated as error:
                self._refused(error.code)
                challenge = {"WWW-Authenticate": _challenge(error)}
                return _answer(path, 401, error.code, str(error), challenge)
        if scope["method"] not in _SAFE_METHODS and _is_from_foreign_page(headers):
            self._refused(_FOREIGN_PAGE)
            return _answer(path, 403, _FOREIGN_PAGE, _FOREIGN_PAGE_DETAIL)
        return None


def _is_open(path: str) -> bool:
    # As the router compares: literally. A path that only looks like one of these is locked.
    return path in OPEN_PATHS or (path.startswith(_OPEN_FOLDER) and ".." not in path)


def _is_from_foreign_page(headers: Headers) -> bool:
    """Whether a browser says that a page of another origin had it sent.

    As Go's net/http.CrossOriginProtection decides: by `Sec-Fetch-Site`, which no page can set; where a
    browser is too old for it, by whether `Origin` is the host that was asked. Programs send neither.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in _FROM_OUR_PAGES
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def _challenge(error: Unauthenticated) -> str:
    """As RFC 6750, section 3, words it."""
    return 'Bearer realm="flawline"' + (', error="invalid_token"' if error.token_given else "")


def _answer(
    path: str, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A problem document (RFC 9457)."""
    problem: Mapping[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if path == _OIP_ROOT or path.startswith(f"{_OIP_ROOT}/"):
        problem = {**problem, "error": detail}  # the member that clients of that protocol read
    return Response(json.dumps(problem), status, headers, media_type="application/problem+json")
