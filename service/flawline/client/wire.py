"""Messages of the gRPC contract to answers, and frames to messages; what an error of gRPC means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timezone

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from flawline.client.answers import (
    Box,
    Detection,
    FrameInfo,
    Inspection,
    ModelRef,
    ProcessingTimes,
    Reason,
    RecipeRef,
    Verdict,
)
from flawline.client.attempts import Failure
from flawline.client.errors import NOT_THE_SERVICE, NotLetInError, RefusedError
from flawline.client.frame import Frame, refuse_unsendable
from flawline.client.handshake import MAYBE_TLS, refuse_handshake_of_grpc
from flawline.rpc.v1 import inspection_pb2 as pb

_ENDED_AT_ONCE = re.compile("failed to connect.*Socket closed")
_TOO_LARGE = "message larger than max"
# How gRPC tells of an answer in HTTP/1 and of one without gRPC: a redirection, or no understanding of the request.
# Others are those of a proxy whose service starts.
_STRANGER = re.compile(r"(?:\(HTTP status|http2 header with status:) (3\d\d|400)\b")
_DETAILS_KEY = "grpc-status-details-bin"
_VERDICTS = {
    pb.VERDICT_OK: Verdict.OK,
    pb.VERDICT_NOT_OK: Verdict.NOT_OK,
    pb.VERDICT_NOT_DECIDABLE: Verdict.NOT_DECIDABLE,
}
_PRIORITIES = {
    None: pb.PRIORITY_UNSPECIFIED,
    "inline": pb.PRIORITY_INLINE,
    "reinspection": pb.PRIORITY_REINSPECTION,
    "backfill": pb.PRIORITY_BACKFILL,
}
_NOT_LET_IN = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
_AT_FAULT = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
}


def request_of(frame: Frame, deadline_ms: int) -> pb.InspectRequest:
    """The frame as a message. Raises RefusedError for what cannot be one."""
    refuse_unsendable(frame)
    if frame.priority not in _PRIORITIES:
        known = ", ".join(name for name in _PRIORITIES if name)
        raise RefusedError("invalid_request", f"priority must be one of {known}.", "priority")
    with sendable():
        return pb.InspectRequest(
            picture=bytes(frame.picture),  # which bytes are themselves, without a copy
            line=frame.line or "",
            part_id=frame.part_id,
            recipe=frame.recipe or "",
            min_score=frame.min_score,
            deadline_ms=deadline_ms,
            priority=_PRIORITIES[frame.priority],
        )


@contextmanager
def sendable() -> Iterator[None]:
    """Raises RefusedError for what is of another type, or no text: file names may hold what is no UTF-8."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise RefusedError("invalid_request", f"The frame cannot be sent: {error}.") from error


def inspection_from(message: pb.Inspection) -> Inspection:
    """The answer; a verdict that this client does not know is none."""
    times = message.processing_times_ms
    return Inspection(
        inspection_id=message.inspection_id,
        verdict=_VERDICTS.get(message.verdict, Verdict.UNDEFINED),
        reasons=tuple(Reason(r.code, r.detail) for r in message.reasons),
        detections=tuple(_detection_from(found) for found in message.detections),
        frame=FrameInfo(message.frame.width, message.frame.height, message.frame.sha256),
        line=message.line,
        part_id=message.part_id if message.HasField("part_id") else None,
        recipe=RecipeRef(message.recipe.name, message.recipe.version),
        model=ModelRef(message.model.name, message.model.version, message.model.sha256),
        created_at=message.created_at.ToDatetime(tzinfo=timezone.utc),
        processing_times_ms=ProcessingTimes(
            queue=times.queue,
            decode=times.decode,
            preprocess=times.preprocess,
            inference=times.inference,
            postprocess=times.postprocess,
            total=times.total,
        ),
    )


def failure_of(error: grpc.aio.AioRpcError, *, was_there: bool = False) -> Failure:
    """What may go better next time. Raises RefusedError for what will not.

    was_there: the service has answered before. What answers in its place now, a proxy that is set up anew say, may go.
    """
    status = error.code()
    info, retry, violations = _details_of(error)
    code = info.reason.lower() or status.name.lower()
    detail = error.details() or status.name
    if status in _NOT_LET_IN:
        raise NotLetInError(code, detail)
    if not was_there:
        _refuse_strangers(detail)
        refuse_handshake_of_grpc(detail)
    if status in _AT_FAULT:
        fields = [violation.field for violation in violations.field_violations]
        raise RefusedError(code, detail, fields[0] if fields else None)
    delay = retry.retry_delay
    after_s = delay.seconds + delay.nanos / 1e9 if retry.HasField("retry_delay") else None
    if _ENDED_AT_ONCE.search(detail):
        detail += f".{MAYBE_TLS}"
    return Failure(code, detail, after_s)


def _refuse_strangers(detail: str) -> None:
    """Raises RefusedError where something answers that does not speak gRPC, and never will."""
    if found := _STRANGER.search(detail):
        told = (
            f"What answers there does not speak gRPC (HTTP status {found[1]}): check the target's host and port "
            "(gRPC is at 8081 unless set otherwise, REST at 8080), and whether a proxy stands before it."
        )
        raise RefusedError(NOT_THE_SERVICE, told)


def refuse_too_large(error: grpc.aio.AioRpcError, frame: Frame) -> None:
    """Raises RefusedError where gRPC itself, and not the service, found the message too large.

    It says so with the code of a busy service, and none of the details that the service sends.
    """
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in (error.details() or ""):
        detail = f"The picture has {len(frame.picture)} bytes, more than the service takes."
        raise RefusedError("too_many_bytes", detail, "picture")


def _details_of(
    error: grpc.aio.AioRpcError,
) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, error_details_pb2.BadRequest]:
    """Each of the kinds that the service sends, empty where it sent none; a gateway may send what is none."""
    found = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.BadRequest(),
    )
    packed = dict(error.trailing_metadata() or ()).get(_DETAILS_KEY, b"")
    with suppress(DecodeError):
        for detail in status_pb2.Status.FromString(packed).details:
            for kind in found:
                if detail.Is(kind.DESCRIPTOR):
                    detail.Unpack(kind)
    return found


def _detection_from(message: pb.Detection) -> Detection:
    box = message.box
    return Detection(message.label, message.score, Box(box.x_min, box.y_min, box.x_max, box.y_max))
