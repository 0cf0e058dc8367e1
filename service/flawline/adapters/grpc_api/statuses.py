"""The one table from errors to gRPC statuses, with machine-readable details (google.rpc)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from flawline.application.frame_stream import Unexpected
from flawline.core.errors import (
    BadPicture,
    InspectionError,
    InvalidRequest,
    NotReady,
    QueueFull,
    Unauthenticated,
    UnknownRecipe,
)
from flawline.core.values import Verdict
from flawline.rpc.v1 import inspection_pb2 as pb

ERROR_DOMAIN = "flawline"
# Where every gRPC library looks for a serialised google.rpc.Status.
_DETAILS_KEY = "grpc-status-details-bin"
# Somebody else takes the work of a server that stops, or it is back by then.
_STOPPING_RETRY_S = 0.5
_STREAMS_RETRY_S = 5.0
_UNDEFINED = {"verdict": Verdict.UNDEFINED.value}


@dataclass(frozen=True, slots=True)
class WireError:
    """How a call ends: code, sentence, and details for machines."""

    code: grpc.StatusCode
    message: str
    details: tuple[Message, ...]

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """The details as gRPC carries them."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return ((_DETAILS_KEY, status.SerializeToString()),)


def wire_error(error: InspectionError) -> WireError:
    """The table of design.md."""
    if isinstance(error, QueueFull):
        return _busy(grpc.StatusCode.RESOURCE_EXHAUSTED, error, error.code, error.retry_after_s)
    if isinstance(error, NotReady):
        return _busy(grpc.StatusCode.UNAVAILABLE, error, error.reason, error.retry_after_s)
    if isinstance(error, Unauthenticated):
        return WireError(grpc.StatusCode.UNAUTHENTICATED, str(error), (_info(error.code, {}),))
    if isinstance(error, UnknownRecipe):
        return WireError(grpc.StatusCode.NOT_FOUND, str(error), (_info(error.code, {}),))
    fields = _fields_at_fault(error)
    details: Sequence[Message] = (_info(error.code, {}), *fields)
    return WireError(grpc.StatusCode.INVALID_ARGUMENT, str(error), tuple(details))


def unexpected_error(error_id: str) -> WireError:
    """What nobody expected: the id alone, nothing of the cause."""
    message = _unexpected_sentence(error_id)
    info = _info("internal_error", _UNDEFINED | {"reason": "internal_error", "error_id": error_id})
    return WireError(grpc.StatusCode.INTERNAL, message, (info,))


def deadline_over() -> WireError:
    """The call's own deadline had passed when it arrived."""
    message = "The call's deadline passed before the picture could be accepted."
    info = _info("deadline", _UNDEFINED | {"reason": "deadline"})
    return WireError(grpc.StatusCode.DEADLINE_EXCEEDED, message, (info,))


def stopping() -> WireError:
    """A call without end is ended, since the server stops."""
    message = "The server stops; open the call again."
    info = _info("not_ready", _UNDEFINED | {"reason": "draining"})
    return WireError(grpc.StatusCode.UNAVAILABLE, message, (info, _retry_info(_STOPPING_RETRY_S)))


def too_many_streams(most: int) -> WireError:
    """More calls without end than are allowed."""
    message = f"{most} streams are open, and no more are allowed at a time; try again later."
    info = _info("too_many_streams", _UNDEFINED | {"reason": "too_many_streams"})
    details = (info, _retry_info(_STREAMS_RETRY_S))
    return WireError(grpc.StatusCode.RESOURCE_EXHAUSTED, message, details)


def stream_idle(idle_s: float) -> WireError:
    """The client has said nothing for so long that it may as well be gone."""
    message = f"Nothing was sent for {idle_s:g} s; open the stream again when there are frames."
    return WireError(grpc.StatusCode.DEADLINE_EXCEEDED, message, (_info("stream_idle", {}),))


def frame_problem(error: InspectionError | Unexpected) -> pb.Problem:
    """What REST and the unary call say of such an error, as the answer to one frame."""
    if isinstance(error, Unexpected):
        return pb.Problem(
            code="internal_error",
            detail=_unexpected_sentence(error.error_id),
            verdict=pb.VERDICT_UNDEFINED,
        )
    busy = isinstance(error, (QueueFull, NotReady))
    return pb.Problem(
        code=error.code,
        detail=str(error),
        field=_field_at_fault(error) or "",
        verdict=pb.VERDICT_UNDEFINED if busy else pb.VERDICT_UNSPECIFIED,
    )


def _unexpected_sentence(error_id: str) -> str:
    return f"Unexpected error; the server's log has it under the id {error_id}."


def _busy(
    code: grpc.StatusCode, error: InspectionError, reason: str, retry_after_s: float
) -> WireError:
    """The picture may well be good and was not evaluated: say when to come back."""
    info = _info(error.code, _UNDEFINED | {"reason": reason})
    return WireError(code, str(error), (info, _retry_info(retry_after_s)))


def _retry_info(retry_after_s: float) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(round(retry_after_s * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _info(code: str, metadata: dict[str, str]) -> error_details_pb2.ErrorInfo:
    """`reason` is our code in capitals, as google.rpc.ErrorInfo wants it."""
    return error_details_pb2.ErrorInfo(reason=code.upper(), domain=ERROR_DOMAIN, metadata=metadata)


def _field_at_fault(error: InspectionError) -> str | None:
    if isinstance(error, InvalidRequest):
        return error.field
    return "picture" if isinstance(error, BadPicture) else None


def _fields_at_fault(error: InspectionError) -> tuple[Message, ...]:
    field = _field_at_fault(error)
    if field is None:
        return ()
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=str(error))
    return (error_details_pb2.BadRequest(field_violations=[violation]),)
