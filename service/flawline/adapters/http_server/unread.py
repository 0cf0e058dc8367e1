"""Bodies that were not read to their end when the answer came."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LINGER_S = 10.0
_CLOSE = (b"connection", b"close")
LEAVES = "flawline.leaves"
"""True in the scope of a request after whose answer its connection is to be closed."""


class UnreadBodies:
    """ASGI middleware: the caller gets to read the answer, and nothing of his body is taken for a request.

    Who waits for leave to send (`Expect: 100-continue`) and is answered instead may send or not: the connection is
    closed (RFC 9110, section 10.1.1). Where it ends with the answer anyway, what still comes is read for a while:
    to close it over unread bytes resets it, and of that the caller would hear instead (RFC 9112, section 9.6).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._stopping = False
        self._reading: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Wait for no body any more."""
        self._stopping = True
        for rest in self._reading:
            rest.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = [(name, value.lower()) for name, value in scope["headers"]]
        awaits_leave = (b"expect", b"100-continue") in headers
        closes = scope["http_version"] == "1.0" or any(
            name == b"connection" and b"close" in value for name, value in headers
        )
        ended = False

        async def noting_receive() -> Message:
            nonlocal awaits_leave, ended
            awaits_leave = False  # uvicorn says 100 Continue
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def read_rest() -> None:
            while not ended:
                await noting_receive()

        async def lingering_send(message: Message) -> None:
            nonlocal closes
            if message["type"] == "http.response.start":
                if awaits_leave or scope.get(LEAVES, False):
                    message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
                closes = closes or _CLOSE in message.get("headers", ())
            elif closes and not (ended or awaits_leave or message.get("more_body", False)):
                await send({**message, "more_body": True})
                rest = asyncio.create_task(read_rest())
                self._reading.add(rest)
                await asyncio.wait({rest}, timeout=0 if self._stopping else _LINGER_S)
                self._reading.discard(rest)
                rest.cancel()
                message = {"type": "http.response.body"}
            await send(message)

        await self._app(scope, noting_receive, lingering_send)
