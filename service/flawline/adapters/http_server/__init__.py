"""Uvicorn as one server among others on a loop that somebody else runs and stops."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from flawline.adapters.http_server.offers import FRAMING, DecliningParser
from flawline.adapters.http_server.refusals import (
    HEAD_TOO_LARGE,
    LENGTH_REQUIRED,
    MAX_HEAD_BYTES,
    TOO_MANY_CONNECTIONS,
    UNREADABLE,
)
from flawline.adapters.http_server.unread import LEAVES, UnreadBodies

# Clients on a line send a picture every few seconds; a new connection for each would be waste.
_KEEP_ALIVE_S = 75
# How long what stands before a body may take to arrive; its bytes are bounded as well, and by nobody else.
_HEAD_TIMEOUT_S = 30
# Of one who was told why he is not served: a picture of the usual limit is read, who sends on and on is cut off.
_LINGER_S = 2.0
_MOST_DROPPED_BYTES = 32_000_000
_MOST_LINGERING = 32


class HttpServer:
    """Serves one ASGI application.

    hang_up_s: how long stopping waits for answers that are still being sent. max_connections: open
    at a time; who comes on top of them is told to come again. connection_age_s: after which one is
    closed with its next answer, and its client connects anew; 0 for never. tls_cert_and_key: serve
    TLS with these files.
    """

    def __init__(
        self,
        app: ASGIApp,
        hang_up_s: float,
        *,
        max_connections: int = 4096,
        connection_age_s: float = 0.0,
        tls_cert_and_key: tuple[Path, Path] | None = None,
    ) -> None:
        cert_path, key_path = tls_cert_and_key or (None, None)
        self._bodies = UnreadBodies(app)
        config = uvicorn.Config(
            self._bodies,
            http=_protocol_of_at_most(max_connections, connection_age_s or math.inf),
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
            self._bodies.stop()
            await self._serving


class _BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen at run time
    """Uvicorn's protocol with bounds on what comes before a body, in bytes and in time.

    It declines other protocols (`DecliningParser`). The callbacks `on_...` are those of httptools'
    parser. (h11, where there is no httptools, bounds heads itself and tells of no callbacks: nothing is counted.)
    """

    parser: Any = None
    age_s = math.inf
    _leaves_s = math.inf
    _bytes_outside_bodies = 0
    _gave_up = False
    _before: Any = None  # the newest request when this read began
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        # Spread, as gRPC does it, so that connections that were made at once do not all end at once.
        self._leaves_s = self.loop.time() + self.age_s * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        if self.parser is not None:  # httptools'
            self.parser = DecliningParser(self.parser)
        # Uvicorn waits for the next request so long, and for the first one for ever.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        if self.parser is not None or self._gave_up:
            self._bytes_outside_bodies += len(data)
        if self._gave_up:
            if self._bytes_outside_bodies > _MOST_DROPPED_BYTES:
                self.transport.close()
            return
        self._before = answered = self.cycle
        timer = self.timeout_keep_alive_task
        is_answered = answered is not None and answered.response_complete and answered.more_body
        if is_answered:
            # The rest of a body that was not waited for: uvicorn would stop the clock at it, and start it no more.
            self.timeout_keep_alive_task = None
        super().data_received(data)
        if is_answered and self.cycle is answered:
            self.timeout_keep_alive_task = timer
        elif is_answered and timer is not None:
            timer.cancel()
        if self._bytes_outside_bodies > MAX_HEAD_BYTES:
            self._give_up(HEAD_TOO_LARGE)
        if self.cycle is not None and self.loop.time() >= self._leaves_s:
            # The newest of requests sent ahead: those before it are answered first.
            self.cycle.scope[LEAVES] = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ended()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        if self.parser.again:
            return
        self._bytes_outside_bodies = 0
        self._head_timer = self.loop.call_later(_HEAD_TIMEOUT_S, self.transport.close)
        super().on_message_begin()
        self.parser.headers = self.headers

    def on_url(self, url: bytes) -> None:
        if not self.parser.again:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.parser.again:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.again:
            self.parser.again = False
            return
        self._head_ended()
        # A head that came in one read is not counted elsewhere, and uvicorn cannot parse a path of 64 KiB.
        if self._head_bytes() > MAX_HEAD_BYTES:
            self._give_up(HEAD_TOO_LARGE)
        elif b"#" in self.url:  # what follows it would be dropped, of a part id say
            self._give_up(UNREADABLE)
        if not self._gave_up:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes_outside_bodies = 0
        if not self._gave_up:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._gave_up and not self.parser.declined:
            super().on_message_complete()

    def _head_bytes(self) -> int:
        fields = sum(len(name) + len(value) for name, value in self.headers)
        line = len(self.parser.get_method()) + len(self.url) + len(b"  HTTP/1.1\r\n")
        return line + fields + len(b": \r\n") * len(self.headers) + len(b"\r\n")

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls where the parser gives up; its own answer is bare text."""
        del msg
        self._give_up(LENGTH_REQUIRED if self._is_body_of_no_length() else UNREADABLE)

    def _give_up(self, answer: bytes) -> None:
        if self._gave_up:
            return
        self._gave_up = True
        if answer is not LENGTH_REQUIRED and not self._is_answer_to_this():
            self.transport.close()
            return
        if self.cycle is not None:  # what it would still write comes after the end
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self._part(answer)

    def _part(self, answer: bytes) -> None:
        """Say why, and drop what still comes.

        To close over unread bytes resets a connection, and of that the peer would hear instead (RFC 9112, section 9.6).
        """
        self._bytes_outside_bodies = 0
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    def _is_answer_to_this(self) -> bool:
        """Whether what is written now is taken for the answer to what came last, and not to an earlier request."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        # Within its body; of requests sent ahead, an earlier one may wait (h11 reads none ahead).
        in_body = self.cycle.more_body and not getattr(self, "pipeline", ())
        return in_body and not self.cycle.response_started

    def _is_body_of_no_length(self) -> bool:
        """Whether what came last follows a request that told of no body, and came with it: it is its body.

        What comes later may be a damaged next request, and the answer to that is not this one's.
        """
        ahead = getattr(self, "pipeline", ())
        if self.cycle is None or self.cycle is self._before or ahead:
            return False
        scope = self.cycle.scope
        return scope["method"] == "POST" and not any(
            name in FRAMING for name, _ in scope["headers"]
        )

    def _head_ended(self) -> None:
        self._bytes_outside_bodies = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _protocol_of_at_most(max_connections: int, most_age_s: float) -> type[asyncio.Protocol]:
    """The protocol, but not on more connections than that, nor much longer on one.

    Uvicorn's own limit would answer 503 to all, those who have long been there and probes included.
    """
    refused: set[asyncio.Protocol] = set()

    class FewProtocol(_BoundedProtocol):
        age_s = most_age_s

        def connection_made(self, transport: asyncio.Transport) -> None:
            if len(self.connections) < max_connections:
                super().connection_made(transport)
                return
            self._gave_up, self.transport = True, transport
            refused.add(self)
            self._part(TOO_MANY_CONNECTIONS)
            if len(refused) > _MOST_LINGERING:
                transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            if self in refused:
                refused.discard(self)
            else:
                super().connection_lost(exc)

    return FewProtocol


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
    # On `::` IPv4 is heard too, as gRPC and the metrics port hear it; Python would shut it out.
    both = family is socket.AF_INET6 and socket.has_dualstack_ipv6()
    return socket.create_server(address, family=family, dualstack_ipv6=both)
