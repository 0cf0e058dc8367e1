"""Past the framework's router, for the one route whose callers wait for every millisecond."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]


class ShortWay:
    """ASGI middleware: `POST` to `path` goes straight to `handle`, all else to `app`.

    FastAPI works out anew for each request what the parameters' annotations mean: about half of what a request
    cost outside of decoding and the network. The route stands there all the same, for the API's document and for
    what other methods are answered. handlers: of the framework, by kind of error; the nearest one answers.
    """

    def __init__(
        self, app: ASGIApp, path: str, handle: Handler, handlers: Mapping[Any, Callable[..., Any]]
    ) -> None:
        self._app = app
        self._path = path
        self._handle = handle
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or pass it on."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await self._handle(request)
        except Exception as error:
            handler = self._handler_of(type(error))
            if handler is None:
                raise
            response = await handler(request, error)
        await response(scope, receive, send)

    def _handler_of(self, kind: type[BaseException]) -> Callable[..., Any] | None:
        known = (self._handlers.get(parent) for parent in kind.__mro__ if parent is not Exception)
        return next((handler for handler in known if handler is not None), None)
