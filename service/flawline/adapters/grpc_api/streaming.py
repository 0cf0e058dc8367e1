"""`InspectStream`: reads frames while there is room, writes answers as the stream gives them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import grpc

from flawline.adapters.grpc_api.convert import inspection_to_wire, request_from_wire
from flawline.adapters.grpc_api.deadlines import earlier_ms
from flawline.adapters.grpc_api.malformed import MALFORMED, malformed_message
from flawline.adapters.grpc_api.statuses import (
    WireError,
    frame_problem,
    stopping,
    stream_idle,
    wire_error,
)
from flawline.application.deadline import DeadlinePassed, within
from flawline.application.frame_stream import FrameAnswer, FrameStream, Opening
from flawline.application.inspector import InspectionRequest, Inspector
from flawline.application.open_bytes import OpenBytes
from flawline.application.ports import Clock
from flawline.core.errors import InspectionError, InvalidRequest
from flawline.core.values import Inspection
from flawline.rpc.v1 import inspection_pb2 as pb

_OPENING_S = 10.0


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bounds on streams.

    most: streams and watchers that are open at a time. window: frames of one stream that are
    unanswered. open_bytes: pictures of all of them. idle_s: until a silent stream is ended.
    max_picture_bytes: told to clients, which know then what not to send; refused elsewhere.
    """

    most: int = 64
    window: int = 32
    open_bytes: int = 256_000_000
    idle_s: float = 300.0
    max_picture_bytes: int = 20_000_000


class InspectStreams:
    """Serves the calls of InspectStream. `default_deadline_ms`: of frames that name none."""

    def __init__(
        self, inspector: Inspector, clock: Clock, limits: StreamLimits, default_deadline_ms: int
    ) -> None:
        self._inspector = inspector
        self._clock = clock
        self._limits = limits
        self._default_deadline_ms = default_deadline_ms
        self._open_bytes = OpenBytes(limits.open_bytes)

    async def serve(self, context: grpc.aio.ServicerContext, caller: str) -> WireError | None:
        """One call until its end; None when that is a good one. What was accepted is answered.

        caller: his name from the lock, "" without one.
        """
        try:
            opening = await self._opening(context)
        except InspectionError as error:
            return wire_error(error)
        except DeadlinePassed:
            return stream_idle(_OPENING_S)
        if opening is None:
            return None
        stream = FrameStream(
            self._inspector,
            self._clock,
            opening,
            window=self._limits.window,
            open_bytes=self._open_bytes,
            default_deadline_ms=self._default_deadline_ms,
        )
        opened = pb.StreamOpened(
            window=self._limits.window,
            memory_id=await self._inspector.memory_id(),
            max_picture_bytes=self._limits.max_picture_bytes,
        )
        await context.write(pb.InspectStreamResponse(opened=opened))
        reading = asyncio.create_task(self._read_until_draining(context, caller, stream))
        try:
            async for answer in stream.answers():
                await context.write(pb.InspectStreamResponse(answer=_answer_to_wire(answer)))
            return await reading
        finally:
            reading.cancel()
            stream.close()

    async def _opening(self, context: grpc.aio.ServicerContext) -> Opening | None:
        """None when the client ended the call before it began."""
        message = await self._next(context, _OPENING_S)
        if message is None:
            return None
        if message.WhichOneof("message") != "opening":
            raise InvalidRequest("opening", "The first message of a stream must be its opening.")
        opening = message.opening
        return Opening(opening.stream_id or None, opening.acknowledged, opening.in_order)

    async def _read_until_draining(
        self, context: grpc.aio.ServicerContext, caller: str, stream: FrameStream
    ) -> WireError | None:
        """How the call ends once all is answered that was taken."""
        reading = asyncio.create_task(self._read(context, caller, stream))
        draining = asyncio.create_task(self._inspector.until_draining())
        try:
            await asyncio.wait((reading, draining), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else stopping()
        except InspectionError as error:
            return wire_error(error)
        except DeadlinePassed:
            return stream_idle(self._limits.idle_s)
        finally:
            reading.cancel()
            draining.cancel()
            stream.end()

    async def _read(
        self, context: grpc.aio.ServicerContext, caller: str, stream: FrameStream
    ) -> WireError | None:
        """None once the client has closed its side. Raises InvalidRequest and DeadlinePassed."""
        metadata = dict(context.invocation_metadata() or ())
        while True:
            await stream.until_room()
            message = await self._next(context, self._limits.idle_s)
            if message is None:
                return None
            kind = message.WhichOneof("message")
            if kind == "frame":
                request = self._request(message.frame, context.time_remaining(), metadata, caller)
                stream.take(message.frame.sequence, request)
            elif kind == "acknowledgement":
                await stream.acknowledge(message.acknowledgement.sequence)
            elif kind == "opening":
                raise InvalidRequest("opening", "A stream is opened once: send frames now.")
            else:
                raise InvalidRequest("message", "Send a frame or an acknowledgement.")

    def _request(
        self,
        frame: pb.StreamFrame,
        remaining_s: float | None,
        metadata: Mapping[str, str],
        caller: str,
    ) -> InspectionRequest:
        wish_ms = frame.request.deadline_ms if frame.request.HasField("deadline_ms") else None
        deadline_ms = earlier_ms(wish_ms, self._default_deadline_ms, remaining_s)
        request = request_from_wire(frame.request, deadline_ms, metadata, caller)
        traceparent = frame.traceparent or request.traceparent
        # A key of the call would make all its frames one.
        return replace(request, traceparent=traceparent, idempotency_key=None)

    async def _next(
        self, context: grpc.aio.ServicerContext, limit_s: float
    ) -> pb.InspectStreamRequest | None:
        """None once the client has closed its side. Raises DeadlinePassed and InvalidRequest."""
        ends_s = self._clock.monotonic_s() + limit_s
        message = await within(self._clock, ends_s, context.read())
        if message is MALFORMED:
            raise malformed_message()
        return None if message is grpc.aio.EOF else message


def _answer_to_wire(answer: FrameAnswer) -> pb.StreamAnswer:
    if isinstance(answer.outcome, Inspection):
        inspection = inspection_to_wire(answer.outcome)
        return pb.StreamAnswer(sequence=answer.sequence, inspection=inspection)
    return pb.StreamAnswer(sequence=answer.sequence, problem=frame_problem(answer.outcome))
