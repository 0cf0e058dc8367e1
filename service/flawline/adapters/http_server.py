"""Uvicorn as one server among others on a loop that somebody else runs and stops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

# Clients on a line send a picture every few seconds; a new connection for each would be waste.
_KEEP_ALIVE_S = 75


class HttpServer:
    """Serves one ASGI application.

    hang_up_s: how long stopping waits for answers that are still being sent. max_connections: open
    at a time; who comes on top of them is told to come again. tls_cert_and_key: serve TLS with
    these files.
    """

    def __init__(
        self,
        app: ASGIApp,
        hang_up_s: float,
        *,
        max_connections: int = 4096,
        tls_cert_and_key: tuple[Path, Path] | None = None,
    ) -> None:
        cert_path, key_path = tls_cert_and_key or (None, None)
        config = uvicorn.Config(
            _ExpectationsMet(app),
            http=_bounded_protocol(max_connections),
            ssl_certfile=cert_path,
            ssl_keyfile=key_path,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(hang_up_s)),
        )
        self._server = _QuietServer(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (which one 0 took). Raises OSError when that cannot be."""
        listener = _bound(host, port)
        taken: int = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self._serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._serving.done():
            self._serving.result()
        return taken

    async def stop(self) -> None:
        """Accept no connection, let running answers end, close."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving


class _ExpectationsMet:
    """Closes the connection after an answer to who waits for leave to send (`Expect: 100-continue`).

    Nobody could tell whether his body follows or the next request (RFC 9110, section 10.1.1).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (b"expect", b"100-continue") not in [
            (name, value.lower()) for name, value in scope["headers"]
        ]:
            await self._app(scope, receive, send)
            return
        body_wanted = False

        async def noting_receive() -> Message:
            nonlocal body_wanted
            body_wanted = True  # and uvicorn says 100 Continue
            return await receive()

        async def closing_send(message: Message) -> None:
            if message["type"] == "http.response.start" and not body_wanted:
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, noting_receive, closing_send)


def _bounded_protocol(max_connections: int) -> type[asyncio.Protocol]:
    """Uvicorn's protocol, but not on more connections than that.

    Its own limit would answer 503 to all, those who have long been there and probes included.
    """

    class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen at run time
        _refused = False

        def connection_made(self, transport: asyncio.Transport) -> None:
            self._refused = len(self.connections) >= max_connections
            if self._refused:
                transport.write(_TOO_MANY_CONNECTIONS)
                transport.close()
            else:
                super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            if not self._refused:
                super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            if not self._refused:
                super().connection_lost(exc)

    return BoundedProtocol


def _too_many_connections() -> bytes:
    problem = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Too many connections are open; close those that are not used, and try again.",
        "code": "too_many_connections",
        "verdict": "Undefined",
        "reason": "too_many_connections",
    }
    body = json.dumps(problem).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


_TOO_MANY_CONNECTIONS = _too_many_connections()


class _QuietServer(uvicorn.Server):
    """Tells when it listens, and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address, family=family)
