"""Frames over gRPC: single calls, one try each, or streams as a camera holds them."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import grpc

from flawline.cli.load.address import Address
from flawline.client import Frame, Inspection, RefusedError, Verdict
from flawline.client.camera import AsyncCamera
from flawline.client.channel import Way as Channel
from flawline.client.wire import failure_of, inspection_from, request_of
from flawline.core.load import Outcome, OutcomeKind
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

_REFUSALS = {
    "queue_full",
    "line_full",
    "backfill_full",
    "not_ready",
    "too_many_streams",
    "resource_exhausted",
}
_TOO_LATE = {"deadline", "deadline_exceeded"}
# What the service itself never says of a frame: there was no connection, and this is why.
_NO_CONNECTION = {
    "unreachable",
    "unavailable",
    "ended",
    "unknown",
    "internal",
    "aborted",
    "cancelled",
}
_FAULTS = {"internal_error", *_NO_CONNECTION}
# Longer than a camera itself lets the service take to hear that all answers have come.
_FAREWELL_S = 3.0


class UnaryWay:
    """One Inspect call a frame, all on one connection. patience_s: how long an answer is waited for."""

    def __init__(
        self, address: Address, *, line: str | None, deadline_ms: int, patience_s: float
    ) -> None:
        way = Channel(address.target, address.token, address.ca_file, address.tls)
        self._channel = way.channel()
        self._stub = pb_grpc.InspectionServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = way.metadata()
        self._line = line
        self._deadline_ms = deadline_ms
        self._patience_s = patience_s

    async def inspect(self, picture: bytes, caller: int) -> Outcome:
        """One try; without an answer, an error."""
        del caller
        try:
            return outcome_of(await self.ask(picture))
        except grpc.aio.AioRpcError as error:
            return _outcome_of_error(error)

    async def ask(self, picture: bytes) -> Inspection:
        """The answer. Raises grpc.aio.AioRpcError."""
        request = request_of(Frame(picture, line=self._line), self._deadline_ms)
        answer = await self._stub.Inspect(
            request, timeout=self._patience_s, metadata=self._metadata
        )
        return inspection_from(answer.inspection)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._channel.close()


class StreamWay:
    """One InspectStream for each caller. A camera drops what cannot be answered in time: Undefined."""

    def __init__(
        self, address: Address, *, line: str | None, deadline_ms: int, callers: int
    ) -> None:
        self._line = line
        self._cameras = [
            AsyncCamera(
                address.target,
                token=address.token,
                ca_file=address.ca_file,
                tls=address.tls,
                deadline_s=deadline_ms / 1000,
            )
            for _ in range(callers)
        ]

    async def inspect(self, picture: bytes, caller: int) -> Outcome:
        """Until the frame has its answer or its deadline has come."""
        try:
            return outcome_of(await self._cameras[caller].inspect(Frame(picture, line=self._line)))
        except RefusedError as error:
            return Outcome(OutcomeKind.ERROR, error.code)

    async def aclose(self) -> None:
        """Close all streams. Frames that nobody waits for any more are not waited for here either."""
        with suppress(asyncio.TimeoutError):
            closing = asyncio.gather(*(camera.aclose() for camera in self._cameras))
            await asyncio.wait_for(closing, _FAREWELL_S)


def outcome_of(inspection: Inspection) -> Outcome:
    """What that answer means for the frame."""
    if inspection.verdict is not Verdict.UNDEFINED:
        return Outcome(OutcomeKind.VERDICT, inspection.verdict.value)
    code = inspection.reasons[0].code if inspection.reasons else "unknown"
    if code in _REFUSALS:
        return Outcome(OutcomeKind.REFUSED, code)
    return Outcome(OutcomeKind.ERROR if code in _FAULTS else OutcomeKind.UNDEFINED, code)


def _outcome_of_error(error: grpc.aio.AioRpcError) -> Outcome:
    try:
        code = failure_of(error).code
    except RefusedError as refused:
        return Outcome(OutcomeKind.ERROR, refused.code)
    if code in _REFUSALS:
        return Outcome(OutcomeKind.REFUSED, code)
    if code == "deadline":  # the service's own word; the plain status means that nothing was heard
        return Outcome(OutcomeKind.UNDEFINED, code)
    return Outcome(OutcomeKind.ERROR, "no_answer" if code in _TOO_LATE else code)
