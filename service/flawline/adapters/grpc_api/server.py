"""The gRPC server: what it serves, how it starts and how it stops."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from flawline.adapters.grpc_api.health import HealthServicer
from flawline.adapters.grpc_api.lock import LockInterceptor
from flawline.adapters.grpc_api.malformed import MalformedInterceptor
from flawline.adapters.grpc_api.pools import DescriptorPools, GrpcService
from flawline.adapters.grpc_api.servicer import InspectionServicer
from flawline.adapters.grpc_api.streaming import StreamLimits
from flawline.application.inspector import Inspector
from flawline.application.ports import Clock, InspectionFeed
from flawline.core.lock import Lock
from flawline.rpc.v1 import inspection_pb2, inspection_pb2_grpc

INSPECTION_SERVICE = inspection_pb2.DESCRIPTOR.services_by_name["InspectionService"].full_name
_OWN_STREAMS = frozenset({f"/{INSPECTION_SERVICE}/InspectStream"})
_KEEPALIVE_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 10_000
_LEAST_PING_INTERVAL_MS = 5_000
_HEALTH_SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class GrpcServer:
    """InspectionService, health and reflection on one port of the running event loop.

    max_message_bytes: of a request; well above the largest picture, so that one that is a little
    too large is refused with our words instead of the library's. lock: before all but health.
    tls_key_and_cert_pem: serve TLS with them. max_calls: open at a time, of all kinds; streams and
    watchers are bounded below that by `streams`. connection_age_s: after which a connection takes no
    new calls, and its client connects anew; 0 for never. connection_grace_s: what its calls have then
    to end. others: services that share the port.
    """

    def __init__(
        self,
        inspector: Inspector,
        feed: InspectionFeed,
        clock: Clock,
        *,
        max_message_bytes: int,
        default_deadline_ms: int,
        max_calls: int = 1000,
        connection_age_s: float = 0.0,
        connection_grace_s: float = 60.0,
        lock: Lock,
        tls_key_and_cert_pem: tuple[bytes, bytes] | None = None,
        streams: StreamLimits | None = None,
        others: Sequence[GrpcService] = (),
    ) -> None:
        self.port = 0
        self._tls_key_and_cert_pem = tls_key_and_cert_pem
        self._server = grpc.aio.server(
            interceptors=(
                LockInterceptor(lock, inspector.refused),
                MalformedInterceptor(inspector.refused, _OWN_STREAMS),
            ),
            maximum_concurrent_rpcs=max_calls,
            options=(
                *_options(max_message_bytes),
                *_age_options(connection_age_s, connection_grace_s),
            ),
        )
        names = [service.name for service in others]
        self._health = HealthServicer(inspector, (INSPECTION_SERVICE, *names))
        self._inspections = InspectionServicer(
            inspector, feed, clock, lock, streams or StreamLimits(), default_deadline_ms
        )
        inspection_pb2_grpc.add_InspectionServiceServicer_to_server(  # type: ignore[no-untyped-call]
            self._inspections, self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in others:
            service.add_to(self._server)
        services = (INSPECTION_SERVICE, *names, _HEALTH_SERVICE, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(services, self._server, DescriptorPools(others))

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (a free one for 0). Raises OSError when that cannot be."""
        _try_to_bind(host, port)
        bare_host = f"[{host}]" if ":" in host else host
        try:
            self.port = self._add_port(f"{bare_host}:{port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {bare_host}:{port}") from error
        await self._server.start()
        return self.port

    def _add_port(self, address: str) -> int:
        if self._tls_key_and_cert_pem is None:
            return int(self._server.add_insecure_port(address))
        credentials = grpc.ssl_server_credentials([self._tls_key_and_cert_pem])
        return int(self._server.add_secure_port(address, credentials))

    def announce_not_serving(self) -> None:
        """Health says NOT_SERVING for good; calls are still served. The first step of a drain."""
        self._health.retire()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, and cut off what still runs after `grace_s` seconds."""
        self._health.close()
        self._inspections.close()
        await self._server.stop(grace_s)


def _options(max_message_bytes: int) -> Sequence[tuple[str, int]]:
    return (
        ("grpc.max_receive_message_length", max_message_bytes),
        # Or a second server could silently share the port and take half of the calls.
        ("grpc.so_reuseport", 0),
        # A client that is gone without a word shows within so many milliseconds.
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        # Clients look after us likewise; gRPC would hang up on more than one ping in 5 minutes.
        ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_PING_INTERVAL_MS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _LEAST_PING_INTERVAL_MS),
    )


def _age_options(age_s: float, grace_s: float) -> Sequence[tuple[str, int]]:
    """GRPC itself spreads ages by a tenth, so that connections that were made at once do not all end at once."""
    if not age_s:
        return ()
    return (
        ("grpc.max_connection_age_ms", max(1, round(age_s * 1000))),
        ("grpc.max_connection_age_grace_ms", round(grace_s * 1000)),
    )


def _try_to_bind(host: str, port: int) -> None:
    """Bind and let go: gRPC says nothing of why it could not, and writes to stderr at that."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
