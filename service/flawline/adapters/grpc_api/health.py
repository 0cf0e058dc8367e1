"""grpc.health.v1 that tells the truth: each answer asks the Inspector at that moment.

The servicer of grpcio-health-checking is told states instead; it holds a lock while it writes to a
watcher, so that a stalled one would delay the drain; and it never ends a Watch, so that each would
cost the whole grace of a stop. Hence this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from flawline.application.inspector import Inspector

_WATCH_PERIOD_S = 0.25
# Of a name from outside: gRPC puts no long message beside a status.
_SHOWN_CHARACTERS = 64


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # untyped library
    """Answers for the whole server (the name ""), each of `services`, and each model by its name."""

    def __init__(self, inspector: Inspector, services: Iterable[str]) -> None:
        self._inspector = inspector
        self._services = frozenset({"", *services})
        self._retired = False
        self._closed = asyncio.Event()

    def retire(self) -> None:
        """NOT_SERVING from now on, for good."""
        self._retired = True

    def close(self) -> None:
        """End every Watch, after its last news."""
        self._retired = True
        self._closed.set()

    async def Check(  # noqa: N802 - the name gRPC calls
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """The state now; NOT_FOUND for a service that is not here."""
        status = self._status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            name = request.service[:_SHOWN_CHARACTERS]
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"There is no service named {name!r} here."
            )
        return health_pb2.HealthCheckResponse(status=status)

    async def List(  # noqa: N802 - the name gRPC calls
        self, request: health_pb2.HealthListRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthListResponse:
        """The states of all services now."""
        del request, context
        return health_pb2.HealthListResponse(
            statuses={
                name: health_pb2.HealthCheckResponse(status=self._status(name))
                for name in self._names()
            }
        )

    async def Watch(  # noqa: N802 - the name gRPC calls
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """The state now and whenever it changes."""
        told = None
        while True:
            closed = self._closed.is_set()  # read first: what is told after it is the last news
            status = self._status(request.service)
            if status != told:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                told = status
            if closed:
                return
            await self._pause()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._closed.wait(), _WATCH_PERIOD_S)
        except asyncio.TimeoutError:
            return

    def _names(self) -> frozenset[str]:
        """Models may come and go."""
        return self._services.union(model.name for model in self._inspector.models())

    def _status(self, service: str) -> int:
        if service not in self._names():
            return int(health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
        serving = not self._retired and self._inspector.readiness().ready
        if serving:
            return int(health_pb2.HealthCheckResponse.SERVING)
        return int(health_pb2.HealthCheckResponse.NOT_SERVING)
