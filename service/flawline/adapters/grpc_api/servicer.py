"""`flawline.v1.InspectionService`: converts, calls the Inspector, converts back."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping
from typing import Any, NoReturn

import grpc

from flawline.adapters.grpc_api.convert import inspection_to_wire, request_from_wire
from flawline.adapters.grpc_api.deadlines import earlier_ms
from flawline.adapters.grpc_api.lock import authorization_of
from flawline.adapters.grpc_api.statuses import (
    WireError,
    deadline_over,
    too_many_streams,
    unexpected_error,
    wire_error,
)
from flawline.adapters.grpc_api.streaming import InspectStreams, StreamLimits
from flawline.adapters.grpc_api.watching import Watches
from flawline.application.failures import new_error_id
from flawline.application.inspector import Inspector
from flawline.application.ports import Clock, InspectionFeed
from flawline.core.errors import InspectionError, InvalidRequest
from flawline.core.lock import Lock
from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

logger = logging.getLogger(__name__)


class InspectionServicer(pb_grpc.InspectionServiceServicer):
    """Serves one Inspector. `default_deadline_ms` holds where a message names no deadline.

    lock: says who calls; an interceptor has let him in before.
    """

    def __init__(
        self,
        inspector: Inspector,
        feed: InspectionFeed,
        clock: Clock,
        lock: Lock,
        limits: StreamLimits,
        default_deadline_ms: int,
    ) -> None:
        self._inspector = inspector
        self._lock = lock
        self._default_deadline_ms = default_deadline_ms
        self._streams = InspectStreams(inspector, clock, limits, default_deadline_ms)
        self._watches = Watches(feed)
        self._most_streams = limits.most
        self._open_streams = 0

    def close(self) -> None:
        """End the calls that would never end by themselves."""
        self._watches.close()

    async def Inspect(  # noqa: N802 - the name gRPC calls
        self, request: pb.InspectRequest, context: grpc.aio.ServicerContext
    ) -> pb.InspectResponse:
        """Inspect one picture; without a verdict the call is OK and its message says why."""
        metadata = tuple(context.invocation_metadata() or ())
        if sum(name == "idempotency-key" for name, _ in metadata) > 1:
            error = InvalidRequest(
                "idempotency_key", "Give one idempotency-key; there are several."
            )
            self._inspector.refused(error.code)
            return _refused(context, wire_error(error))
        outcome = await self._inspect(request, context.time_remaining(), dict(metadata))
        return _refused(context, outcome) if isinstance(outcome, WireError) else outcome

    async def InspectStream(  # noqa: N802 - the name gRPC calls
        self, request_iterator: object, context: grpc.aio.ServicerContext
    ) -> None:
        """Inspect the frames of one camera, until it closes its side."""
        del request_iterator  # the context reads as well, and only when it is told to
        caller = self._lock.caller_of(authorization_of(context.invocation_metadata()))
        await self._stream(context, "InspectStream", self._streams.serve(context, caller))

    async def WatchInspections(  # noqa: N802 - the name gRPC calls
        self, request: pb.WatchInspectionsRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """Tell of finished inspections, until the client cancels."""
        await self._stream(context, "WatchInspections", self._watches.serve(request, context))

    async def _stream(
        self,
        context: grpc.aio.ServicerContext,
        method: str,
        serve: Coroutine[Any, Any, WireError | None],
    ) -> None:
        if self._open_streams >= self._most_streams:
            serve.close()
            self._inspector.refused("too_many_streams")
            await _abort(context, too_many_streams(self._most_streams))
        self._open_streams += 1
        try:
            error = await serve
        except Exception:
            error_id = new_error_id()
            logger.exception("call_failed method=%s error_id=%s", method, error_id)
            error = unexpected_error(error_id)
        finally:
            self._open_streams -= 1
        if error is not None:
            await _abort(context, error)

    async def _inspect(
        self,
        request: pb.InspectRequest,
        remaining_s: float | None,
        metadata: Mapping[str, str],
    ) -> pb.InspectResponse | WireError:
        if remaining_s is not None and remaining_s <= 0:
            return deadline_over()
        wish_ms = request.deadline_ms if request.HasField("deadline_ms") else None
        deadline_ms = earlier_ms(wish_ms, self._default_deadline_ms, remaining_s)
        try:
            caller = self._lock.caller_of(authorization_of(metadata.items()))
            inspection = await self._inspector.inspect(
                request_from_wire(request, deadline_ms, metadata, caller)
            )
            return pb.InspectResponse(inspection=inspection_to_wire(inspection))
        except InspectionError as error:
            return wire_error(error)
        except Exception:
            error_id = new_error_id()
            logger.exception("call_failed method=Inspect error_id=%s", error_id)
            return unexpected_error(error_id)


def _refused(context: grpc.aio.ServicerContext, error: WireError) -> pb.InspectResponse:
    """Ends a call that has one answer, which is not sent then.

    What `abort` raises holds itself, and the picture by way of the frames it comes through, until Python looks for
    rings.
    """
    context.set_code(error.code)
    context.set_details(error.message)
    context.set_trailing_metadata(error.trailing_metadata())
    return pb.InspectResponse()


async def _abort(context: grpc.aio.ServicerContext, error: WireError) -> NoReturn:
    await context.abort(error.code, error.message, error.trailing_metadata())
    raise AssertionError("abort always raises")
