"""The service behind its protocols, as a process."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from prometheus_client import disable_created_metrics

from flawline.adapters.grpc_api import GrpcServer, StreamLimits
from flawline.adapters.http_lock import OPEN_PATHS, HttpLock
from flawline.adapters.http_server import HttpServer
from flawline.adapters.logs import set_up_logs
from flawline.adapters.rest import BodyLimits, create_app
from flawline.adapters.system_clock import SystemClock
from flawline.application.request_room import RequestRoom
from flawline.bootstrap.descriptors import allow_descriptors
from flawline.bootstrap.door import Door
from flawline.bootstrap.open_inference import OpenInference
from flawline.bootstrap.service import Service, build_service
from flawline.bootstrap.starting import listening, told_to_stop
from flawline.settings import FlawlineSettings

logger = logging.getLogger(__name__)

# gRPC itself answers larger messages with RESOURCE_EXHAUSTED, which reads as "busy, try again": a
# picture that is too large is to reach us, and be refused as a bad one.
_MESSAGE_ROOM = 2
_MESSAGE_OVERHEAD_BYTES = 64 * 1024
# Once all accepted inspections are answered, only those who read answers slowly are waited for.
_HANG_UP_S = 2.0
# Files, gRPC's connections and those to Redis, beside the HTTP connections.
_OTHER_DESCRIPTORS = 1024


@dataclass(frozen=True, slots=True)
class Running:
    """A service that listens."""

    service: Service
    rest_port: int
    grpc_port: int


@asynccontextmanager
async def running(settings: FlawlineSettings) -> AsyncIterator[Running]:
    """The service behind REST and gRPC, listening and ready; leaving stops it. Raises StartupError.

    It listens before the model is loaded, so that a taken port shows at once and probes are
    answered.
    """
    door = Door.of(settings)
    service = build_service(settings)
    door.show_certificate(service.telemetry_registry)
    room = RequestRoom(max(settings.max_open_bytes, settings.max_body_bytes))
    open_inference = OpenInference.of(settings, service, door.lock, room)
    http = _http_server(settings, service, door, room, open_inference)
    grpc = _grpc_server(settings, service, door, open_inference)
    # The stack unwinds from its end: not serving, drain and stop the service, then hang up.
    async with AsyncExitStack() as stopping:
        stopping.push_async_callback(http.stop)
        rest_port = await listening(http.start, settings.host, settings.port, "port")
        stopping.push_async_callback(grpc.stop, _HANG_UP_S)
        grpc_port = await listening(grpc.start, settings.host, settings.grpc_port, "grpc_port")
        stopping.push_async_callback(service.stop)
        await service.start()
        stopping.callback(grpc.announce_not_serving)
        yield Running(service, rest_port, grpc_port)


def _http_server(
    settings: FlawlineSettings,
    service: Service,
    door: Door,
    room: RequestRoom,
    open_inference: OpenInference,
) -> HttpServer:
    app = create_app(
        service.inspector,
        service.tickets,
        service.models,
        service.telemetry_registry,
        limits=BodyLimits(
            max_bytes=settings.max_body_bytes,
            max_frames=settings.max_frames,
            max_frames_bytes=settings.max_frames_bytes,
            max_open_bytes=settings.max_open_bytes,
            timeout_s=settings.body_timeout_s,
        ),
        unlocked_paths=OPEN_PATHS if door.lock.closed else None,
        room=room,
        routers=[open_inference.routes.router],
    )
    return HttpServer(
        HttpLock(app, door.lock, service.inspector.refused),
        _HANG_UP_S,
        max_connections=settings.max_connections,
        connection_age_s=settings.http_connection_age_s,
        tls_cert_and_key=door.cert_and_key_paths,
    )


def _grpc_server(
    settings: FlawlineSettings, service: Service, door: Door, open_inference: OpenInference
) -> GrpcServer:
    return GrpcServer(
        service.inspector,
        service.feed,
        SystemClock(),
        max_message_bytes=_MESSAGE_OVERHEAD_BYTES
        + max(_MESSAGE_ROOM * settings.max_body_bytes, settings.max_inference_bytes),
        default_deadline_ms=settings.deadline_ms,
        lock=door.lock,
        tls_key_and_cert_pem=door.key_and_cert_pem,
        max_calls=settings.grpc_max_calls,
        connection_age_s=settings.grpc_connection_age_s,
        # Whatever was asked on it is answered by then.
        connection_grace_s=settings.max_deadline_ms / 1000 + _HANG_UP_S,
        streams=StreamLimits(
            most=settings.max_streams,
            window=settings.stream_window,
            open_bytes=settings.max_open_bytes,
            idle_s=settings.stream_idle_s,
            max_picture_bytes=settings.max_body_bytes,
        ),
        others=[open_inference.servicer],
    )


async def serve(settings: FlawlineSettings) -> int:
    """Serve until SIGTERM or SIGINT, then stop in bounded time and return the exit code.

    Raises StartupError.
    """
    set_up_logs(settings.log_level, settings.log_format)
    # They double the number of series, and nobody asks for them. It holds for the whole process, so it stands here.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    allow_descriptors(settings.max_connections + _OTHER_DESCRIPTORS)
    async with told_to_stop() as told, running(settings) as parts:
        # What was made so far stays: the collector need not look through it again and again while frames wait.
        gc.collect()
        gc.freeze()
        bare_host = f"[{settings.host}]" if ":" in settings.host else settings.host
        logger.info(
            "ready model=%s rest=%s://%s:%d grpc=%s:%d",
            f"{parts.service.model.name} {parts.service.model.version}",
            "https" if settings.tls_cert_file else "http",
            bare_host,
            parts.rest_port,
            bare_host,
            parts.grpc_port,
        )
        await told.wait()
        logger.info("stopping: finishing what was accepted")
    logger.info("stopped")
    return 0
