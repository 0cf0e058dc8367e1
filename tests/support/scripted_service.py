"""A service with a scripted Inspector behind real REST and gRPC ports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from certificates import Certificate
from rest_app import app_of
from scripted_inspector import ScriptedInspector

from flawline.adapters.grpc_api import GrpcServer
from flawline.adapters.http_lock import HttpLock
from flawline.adapters.http_server import HttpServer
from flawline.adapters.memory_feed import MemoryFeed
from flawline.adapters.system_clock import SystemClock
from flawline.core.lock import Lock

TOKEN = "0123456789abcdef-token"


@dataclass
class ScriptedService:
    """Listens on `url` and `target` while it is entered; asks for TOKEN."""

    inspector: ScriptedInspector = field(default_factory=ScriptedInspector)
    feed: MemoryFeed = field(default_factory=lambda: MemoryFeed(10))
    certificate: Certificate | None = None

    async def __aenter__(self) -> ScriptedService:
        shown = self.certificate
        self._tls = None if shown is None else (shown.cert_path, shown.key_path)
        lock, refused = Lock(TOKEN), self.inspector.refused
        app = app_of(self.inspector, max_bytes=10_000)
        self._http = HttpServer(HttpLock(app, lock, refused), 1.0, tls_cert_and_key=self._tls)
        self.url = f"http://127.0.0.1:{await self._http.start('127.0.0.1', 0)}"
        self._lock = lock
        self.target = f"127.0.0.1:{await self.start_grpc()}"
        return self

    async def start_grpc(self, port: int = 0) -> int:
        """The port taken; 0 for a free one."""
        self._grpc = GrpcServer(
            self.inspector,
            self.feed,
            SystemClock(),
            max_message_bytes=20_000,
            default_deadline_ms=1000,
            lock=self._lock,
            tls_key_and_cert_pem=self._tls
            and (self._tls[1].read_bytes(), self._tls[0].read_bytes()),
        )
        return await self._grpc.start("127.0.0.1", port)

    async def stop_grpc(self) -> None:
        """Cut all calls off."""
        await self._grpc.stop(0)

    async def restart_grpc(self) -> None:
        """On the same port, after all calls were cut off."""
        await self.stop_grpc()
        await self.start_grpc(int(self.target.rpartition(":")[2]))

    async def __aexit__(self, *_: object) -> None:
        await self._grpc.stop(0)
        await self._http.stop()


Ask = Callable[..., Any]
