"""`/metrics` for a process that serves nothing else; in a thread of its own."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server


class MetricsServer:
    """Shows one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._server: WSGIServer | ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (which one 0 took). Raises OSError when that cannot be."""
        self._server, self._thread = start_http_server(port, host, self._registry)
        taken: int = self._server.server_port
        return taken

    def stop(self) -> None:
        """End it; harmless when it was never started."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
