"""The one table from errors to gRPC statuses, with machine-readable details (google.rpc)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

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

ERROR_DOMAIN = "flawline"
# Where every gRPC library looks for a serialised google.rpc.Status.
_DETAILS_KEY = "grpc-status-details-bin"
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
    message = f"Unexpected error; the server's log has it under the id {error_id}."
    info = _info("internal_error", _UNDEFINED | {"reason": "internal_error", "error_id": error_id})
    return WireError(grpc.StatusCode.INTERNAL, message, (info,))


def deadline_over() -> WireError:
    """The call's own deadline had passed when it arrived."""
    message = "The call's deadline passed before the picture could be accepted."
    info = _info("deadline", _UNDEFINED | {"reason": "deadline"})
    return WireError(grpc.StatusCode.DEADLINE_EXCEEDED, message, (info,))


def _busy(
    code: grpc.StatusCode, error: InspectionError, reason: str, retry_after_s: float
) -> WireError:
    """The picture may well be good and was not evaluated: say when to come back."""
    info = _info(error.code, _UNDEFINED | {"reason": reason})
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(round(retry_after_s * 1000))
    return WireError(code, str(error), (info, error_details_pb2.RetryInfo(retry_delay=delay)))


def _info(code: str, metadata: dict[str, str]) -> error_details_pb2.ErrorInfo:
    """`reason` is our code in capitals, as google.rpc.ErrorInfo wants it."""
    return error_details_pb2.ErrorInfo(reason=code.upper(), domain=ERROR_DOMAIN, metadata=metadata)


def _fields_at_fault(error: InspectionError) -> tuple[Message, ...]:
    field = "picture" if isinstance(error, BadPicture) else None
    if isinstance(error, InvalidRequest):
        field = error.field
    if field is None:
        return ()
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=str(error))
    return (error_details_pb2.BadRequest(field_violations=[violation]),)
