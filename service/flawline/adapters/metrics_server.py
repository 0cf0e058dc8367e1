"""`/metrics` and probes of a process that serves nothing else; in threads of its own."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer, choose_encoder

from flawline.core.errors import Unauthenticated
from flawline.core.lock import Lock

# So long a scraper may take to ask; one that never does costs a thread for no longer.
_REQUEST_TIMEOUT_S = 30

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Probes:
    """What is answered at /healthz; asked from threads of the server.

    live: False when only a new process can help. fault: why no work is done now, None when it is.
    """

    live: Callable[[], bool]
    fault: Callable[[], str | None]


class MetricsServer:
    """Shows one registry to those whom the lock lets in; over TLS where there is a context.

    Probes are answered to everyone.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        lock: Lock,
        probes: Probes,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._app = _headed(_probed(_locked(_asked(make_wsgi_app(registry)), lock), probes))
        self._tls = tls
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (which one 0 took). Raises OSError when that cannot be."""
        self._server = make_server(host, port, self._app, _server_for(host, port), _QuietHandler)
        if self._tls is not None:
            # The handshake is the business of the connection's own thread, not of the one that accepts.
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="flawline-metrics", daemon=True
        )
        self._thread.start()
        return self._server.server_port

    def stop(self) -> None:
        """End it; harmless when it was never started."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


class _QuietHandler(WSGIRequestHandler):
    timeout = _REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it overrides
        """A line for each scrape would be noise."""


def _server_for(host: str, port: int) -> type[ThreadingWSGIServer]:
    """A thread a connection, in the address family of that host."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)

    class Server(ThreadingWSGIServer):
        address_family = infos[0][0]

        def handle_error(self, request: object, client_address: object) -> None:
            """A peer that broke off, or spoke no TLS; the standard library would print a traceback."""

    return Server


def _asked(app: Application) -> Application:
    """Without an Accept header that the library fails on, of a version that is no bare number, as in quotes.

    And without `name[]`, as the api: a part alone would be shown without what is counted when all are read.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = {**environ, "QUERY_STRING": ""}
        try:
            choose_encoder(environ.get("HTTP_ACCEPT", ""))
        except (TypeError, ValueError):
            asked["HTTP_ACCEPT"] = ""
        return app(asked, start_response)

    return answer


def _headed(app: Application) -> Application:
    """HEAD as GET, without the body."""

    def headed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "HEAD":
            return app(environ, start_response)
        said: list[Any] = []
        body = b"".join(
            app({**environ, "REQUEST_METHOD": "GET"}, lambda *words: said.extend(words))
        )
        status, headers, *_ = said
        # Left out, the server would say 0; nothing else but the length of what GET is sent may stand there.
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return []

    return headed


def _locked(app: Application, lock: Lock) -> Application:
    def locked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            lock.caller_of(environ.get("HTTP_AUTHORIZATION"))
        except Unauthenticated as error:
            headers = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("WWW-Authenticate", 'Bearer realm="flawline"'),
            ]
            start_response("401 Unauthorized", headers)
            return [f"{error}\n".encode()]
        return app(environ, start_response)

    return locked


def _probed(app: Application, probes: Probes) -> Application:
    def probed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/healthz/live":
            live = probes.live()
            return _say(start_response, live, {"live": live})
        if path == "/healthz/ready":
            fault = probes.fault()
            reason = {} if fault is None else {"reason": fault}
            return _say(start_response, fault is None, {"ready": fault is None, **reason})
        return app(environ, start_response)

    return probed


def _say(
    start_response: Callable[..., Any], good: bool, says: dict[str, bool | str]
) -> Iterable[bytes]:
    status = "200 OK" if good else "503 Service Unavailable"
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(says).encode()]
