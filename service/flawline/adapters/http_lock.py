"""The lock before everything that is served over HTTP, whichever adapter serves it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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


class HttpLock:
    """ASGI middleware: 401 without the token; else `request.state.caller` names the caller.

    refused: told the code of each request that is not let in. Nothing of its body is read.
    """

    def __init__(self, app: ASGIApp, lock: Lock, refused: Callable[[str], None]) -> None:
        self._app = app
        self._lock = lock
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it."""
        if scope["type"] == "http" and not _is_open(scope["path"]):
            try:
                caller = self._lock.caller_of(Headers(scope=scope).get("authorization"))
            except Unauthenticated as error:
                self._refused(error.code)
                await _answer(scope["path"], error)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def _is_open(path: str) -> bool:
    # As the router compares: literally. A path that only looks like one of these is locked.
    return path in OPEN_PATHS or (path.startswith(_OPEN_FOLDER) and ".." not in path)


def _answer(path: str, error: Unauthenticated) -> Response:
    """A problem document (RFC 9457) with the challenge of RFC 6750, section 3."""
    challenge = 'Bearer realm="flawline"' + (', error="invalid_token"' if error.token_given else "")
    problem: Mapping[str, Any] = {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": str(error),
        "code": error.code,
    }
    if path == _OIP_ROOT or path.startswith(f"{_OIP_ROOT}/"):
        problem = {**problem, "error": str(error)}  # the member that clients of that protocol read
    return Response(
        json.dumps(problem),
        401,
        {"WWW-Authenticate": challenge},
        media_type="application/problem+json",
    )
