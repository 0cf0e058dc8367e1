"""Uvicorn as one server among others on a loop that somebody else runs and stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

# Clients on a line send a picture every few seconds; a new connection for each would be waste.
_KEEP_ALIVE_S = 75


class HttpServer:
    """Serves one ASGI application.

    hang_up_s: how long stopping waits for answers that are still being sent.
    tls_cert_and_key: serve TLS with these files.
    """

    def __init__(
        self, app: Any, hang_up_s: float, tls_cert_and_key: tuple[Path, Path] | None = None
    ) -> None:
        cert_path, key_path = tls_cert_and_key or (None, None)
        config = uvicorn.Config(
            app,
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
