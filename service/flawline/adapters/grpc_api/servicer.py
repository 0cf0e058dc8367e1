"""`flawline.v1.InspectionService`: converts, calls the Inspector, converts back."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import grpc

from flawline.adapters.grpc_api.convert import inspection_to_wire, request_from_wire
from flawline.adapters.grpc_api.lock import authorization_of
from flawline.adapters.grpc_api.statuses import (
    WireError,
    deadline_over,
    unexpected_error,
    wire_error,
)
from flawline.application.failures import new_error_id
from flawline.application.inspector import Inspector
from flawline.core.errors import InspectionError
from flawline.core.lock import Lock
from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

logger = logging.getLogger(__name__)

# A call is over for its client at its deadline: the answer sets out before it, to arrive in time.
_JOURNEY_SHARE = 0.1
_LONGEST_JOURNEY_MS = 50.0


class InspectionServicer(pb_grpc.InspectionServiceServicer):
    """Serves one Inspector. `default_deadline_ms` holds where a message names no deadline.

    lock: says who calls; an interceptor has let him in before.
    """

    def __init__(self, inspector: Inspector, default_deadline_ms: int, lock: Lock) -> None:
        self._inspector = inspector
        self._lock = lock
        self._default_deadline_ms = default_deadline_ms

    async def Inspect(  # noqa: N802 - the name gRPC calls
        self, request: pb.InspectRequest, context: grpc.aio.ServicerContext
    ) -> pb.InspectResponse:
        """Inspect one picture; without a verdict the call is OK and its message says why."""
        metadata = dict(context.invocation_metadata() or ())
        outcome = await self._inspect(request, context.time_remaining(), metadata)
        if isinstance(outcome, pb.InspectResponse):
            return outcome
        await context.abort(outcome.code, outcome.message, outcome.trailing_metadata())
        raise AssertionError("abort always raises")

    async def _inspect(
        self,
        request: pb.InspectRequest,
        remaining_s: float | None,
        metadata: Mapping[str, str],
    ) -> pb.InspectResponse | WireError:
        if remaining_s is not None and remaining_s <= 0:
            return deadline_over()
        wish_ms = request.deadline_ms if request.HasField("deadline_ms") else None
        deadline_ms = _earlier_ms(wish_ms, self._default_deadline_ms, remaining_s)
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


def _earlier_ms(wish_ms: int | None, default_ms: int, remaining_s: float | None) -> int | None:
    """What message and call allow together, in whole milliseconds; None when neither says anything.

    remaining_s: until the call's own deadline, None without one.
    """
    if remaining_s is None:
        return wish_ms
    remaining_ms = remaining_s * 1000
    call_ms = int(remaining_ms - min(_LONGEST_JOURNEY_MS, remaining_ms * _JOURNEY_SHARE))
    return min(default_ms if wish_ms is None else wish_ms, max(1, call_ms))
